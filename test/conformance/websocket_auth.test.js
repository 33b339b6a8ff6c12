// SPDX-License-Identifier: Apache-2.0
// CO-T04, CO-S07: a websocket listener's own user, token, no_auth_user and time: the same conversation with Weir and with Debian's
// nats-server, over TCP and over a websocket.
'use strict'

const assert = require('assert')
const fs = require('fs')
const net = require('net')
const os = require('os')
const path = require('path')
const { WebSocket } = require('ws')
const { test, run } = require('./lib/tap')
const { Server, program } = require('./lib/server')
const { unique, until, within } = require('./lib/wait')

const PEER = process.env.NATS_SERVER || '/usr/sbin/nats-server'
const USERS = 'authorization { users: [ {user: a, password: b}, {user: n, password: np} ] }'
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-websocket-auth-'))
process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }))

// What the server has, what its websocket block has.
const CASES = {
  'nothing': ['', ''],
  'a user of its own': ['', 'authorization { user: w, password: wp }'],
  'a user without a password': ['', 'authorization { user: w }'],
  'a hashed token of its own': ['', 'authorization { token: "$2a$04$abcdefghijklmnopqrstuubFLQP2.gcdJltXadMOx8uDr9HKyVmCW" }'],
  'another user than the server': ['authorization { user: a, password: b }', 'authorization { user: w, password: wp }'],
  'a user, and the server a token': ['authorization { token: t }', 'authorization { user: w, password: wp }'],
  'what the server has: a token': ['authorization { token: t }', ''],
  'what the server has: users and a no_auth_user': [`${USERS}\nno_auth_user: a`, ''],
  'a no_auth_user of its own': [USERS, 'no_auth_user: n'],
  'a no_auth_user where the server has another': [`${USERS}\nno_auth_user: a`, 'no_auth_user: n'],
  'what the server has: only the system account': ['accounts { $SYS { users: [{user: a, password: b}] } }', ''],
  'a no_auth_user, and only the system account has users': ['accounts { $SYS { users: [{user: a, password: b}] } }', 'no_auth_user: a']
}
const OFFERS = [null, {}, { user: 'w', pass: 'wp' }, { user: 'w' }, { user: 'a', pass: 'b' }, { user: 'n', pass: 'np' }, { auth_token: 't' }, { auth_token: 'tt' }]
const REFUSED = [
  [USERS, 'authorization { user: w, password: wp }'], [USERS, 'authorization { token: t }'],
  [USERS, 'no_auth_user: nobody'], ['', 'no_auth_user: nobody'], ['', 'authorization { users: [{user: w, password: wp}] }'], ['', 'jwt_cookie: c']
]

async function start (t, [top, block], chosen) {
  const name = path.join(directory, unique('conf'))
  fs.writeFileSync(name, `${top}\nwebsocket { listen: "127.0.0.1:-1", no_tls: true\n${block}\n}\n`)
  const server = await Server.start(['-c', name], { program: chosen })
  if (t) t.after(() => server.stop())
  server.websocket = Number(/websocket clients on ws:\/\/127.0.0.1:(\d+)/.exec(server.log)[1])
  server.config = name
  return server
}

/** Opens one; `said` gathers what the server says. */
function open (t, server, kind) {
  const peer = { said: '' }
  const hear = (data) => { peer.said += data }
  const socket = kind === 'tcp' ? net.connect(server.port, '127.0.0.1') : new WebSocket(`ws://127.0.0.1:${server.websocket}`)
  socket.on(kind === 'tcp' ? 'data' : 'message', hear)
  socket.on('error', () => {})
  peer.closed = new Promise((resolve) => socket.once('close', (code, reason) => resolve(`${code} ${reason}`)))
  peer.send = (text) => { kind === 'tcp' ? socket.write(text) : socket.send(text) }
  t.after(() => kind === 'tcp' ? socket.destroy() : socket.terminate())
  peer.ready = until(() => peer.said.includes('\r\n'), 'INFO').then(() => peer)
  return peer.ready
}

/** What it is told, as text that both servers must agree on. */
async function converse (t, server, kind, offer) {
  const peer = await open(t, server, kind)
  const info = JSON.parse(peer.said.slice('INFO '.length, peer.said.indexOf('\r\n')))
  const begin = peer.said.indexOf('\r\n') + 2
  peer.send((offer ? `CONNECT ${JSON.stringify({ verbose: true, ...offer })}\r\n` : '') + 'PING\r\n')
  await until(() => /PONG\r\n|-ERR[^\n]*\n/.test(peer.said.slice(begin)), 'an answer')
  return `${kind} ${JSON.stringify(offer)} auth_required ${info.auth_required || false}: ${peer.said.slice(begin)}`
}

async function conversations (t, config, chosen) {
  const server = await start(t, config, chosen)
  const said = []
  for (const kind of ['tcp', 'websocket']) {
    for (const offer of OFFERS) said.push(await converse(t, server, kind, offer))
  }
  return said
}

for (const [name, config] of Object.entries(CASES)) {
  test(`CO-T04 CO-S07 websocket with ${name}`, async (t) => {
    const [ours, theirs] = await Promise.all([conversations(t, config, program), conversations(t, config, PEER)])
    assert.deepStrictEqual(ours, theirs)
    assert.ok(ours.some((said) => said.startsWith('websocket') && said.endsWith('PONG\r\n')), 'somebody gets in')
  })
}

test('CO-T04 what nats-server refuses of a websocket block is refused', async (t) => {
  for (const config of REFUSED) {
    for (const chosen of [program, PEER]) await assert.rejects(start(null, config, chosen), /ended/)
  }
})

for (const [name, config, times] of [
  ['longer', ['authorization { token: t, timeout: 0.2 }', 'authorization { timeout: 20 }'], { tcp: true, websocket: false }],
  ['shorter', ['authorization { token: t, timeout: 20 }', 'authorization { timeout: 0.2 }'], { tcp: false, websocket: true }]
]) {
  test(`CO-T04 the time to log in may be ${name} for websockets`, async (t) => {
    for (const chosen of [program, PEER]) {
      const server = await start(t, config, chosen)
      const hurried = times.tcp ? 'tcp' : 'websocket'
      const patient = await open(t, server, times.tcp ? 'websocket' : 'tcp')
      const peer = await open(t, server, hurried)
      await within(peer.closed, 'the time is over')
      assert.ok(peer.said.endsWith("-ERR 'Authentication Timeout'\r\n"), peer.said)
      patient.send('CONNECT {"verbose":true,"auth_token":"t"}\r\nPING\r\n')
      await until(() => patient.said.endsWith('+OK\r\nPONG\r\n'), 'the other has time left')
    }
  })
}

const USER = 'authorization { user: a, password: b, timeout: 0.3 }'
const CLOSED = [
  ['1008 Authentication Failure', USER, 'CONNECT {"user":"a","pass":"c"}\r\n'],
  ['1008 Authentication Timeout', USER, ''],
  ['1008 Maximum Control Line Exceeded', 'max_control_line: 512', `SUB ${'x'.repeat(600)} 1\r\n`],
  ['1009 Maximum Message Payload Exceeded', 'max_payload: 1024', 'PUB a 1025\r\n'],
  ['1002 Protocol Violation', '', 'WHAT\r\n'],
  ['1002 Bad Client Protocol Version', '', 'CONNECT {"protocol":7}\r\n'],
  ['1001 Server Shutdown', '', null]
]

test('CO-T04 the last frame of a websocket says why it ends', async (t) => {
  await Promise.all(CLOSED.map(async ([why, top, line]) => {
    for (const chosen of [program, PEER]) {
      const server = await start(t, [top, ''], chosen)
      const peer = await open(t, server, 'websocket')
      if (line) peer.send(line)
      else if (line === null) server.child.kill('SIGTERM')
      assert.strictEqual(await within(peer.closed, why), why)
    }
  }))
})

test('CO-T04 a websocket may be pinged more often than others', async (t) => {
  const server = await start(t, ['ping_interval: "1h"', 'ping_interval: "50ms"'], program)
  const [web, plain] = [await open(t, server, 'websocket'), await open(t, server, 'tcp')]
  for (const peer of [web, plain]) peer.send('CONNECT {"verbose":false}\r\nPING\r\n')
  // Nobody answers, so it is called stale soon; the first ping of the other comes after two seconds, the next after an hour.
  await within(web.closed, 'it is stale')
  assert.ok(web.said.includes('\r\nPING\r\n') && web.said.endsWith("-ERR 'Stale Connection'\r\n"), web.said)
  plain.send('PING\r\n')
  await until(() => plain.said.match(/PONG\r\n/g).length === 2, 'the other is there')
})

test('CO-X02 a reload changes users, and leaves a websocket in by its own no_auth_user', async (t) => {
  for (const chosen of [program, PEER]) {
    const server = await start(t, [USERS, 'no_auth_user: n'], chosen)
    const [web, plain] = [await open(t, server, 'websocket'), await open(t, server, 'tcp')]
    web.send('CONNECT {"verbose":false}\r\nPING\r\n')
    plain.send('CONNECT {"verbose":false,"user":"a","pass":"b"}\r\nPING\r\n')
    for (const peer of [web, plain]) await until(() => peer.said.endsWith('PONG\r\n'), 'both are in')
    fs.writeFileSync(server.config, fs.readFileSync(server.config, 'utf8').replace('password: b', 'password: c'))
    server.child.kill('SIGHUP')
    await server.logged(/Reloaded server configuration/)
    await within(plain.closed, 'its password is another now')
    web.send('PING\r\n')
    await until(() => web.said.match(/PONG\r\n/g).length === 2, 'the websocket stays')
    // What the block itself says needs a restart.
    fs.writeFileSync(server.config, fs.readFileSync(server.config, 'utf8').replace('no_auth_user: n', 'no_auth_user: a'))
    server.child.kill('SIGHUP')
    await server.logged(/config reload not supported for /)
  }
})

run({ atOnce: 4 })
