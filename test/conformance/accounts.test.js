// SPDX-License-Identifier: Apache-2.0
// Accounts, exports and imports of the same configuration with Weir and with nats-server: what clients read must be the same
// (CO-S07, CO-S08). Left out is what is random or a time, and where newer nats-servers and Weir do more than 2.9: a service that
// nobody serves is answered with 503.
'use strict'

const assert = require('assert')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { connect, StringCodec, headers } = require('nats')
const { test, run } = require('./lib/tap')
const { Raw } = require('./lib/raw')
const { Server } = require('./lib/server')

const PEER = process.env.NATS_SERVER || '/usr/sbin/nats-server'

const CONFIG = `
accounts {
  A {
    users: [{user: a, password: a}]
    exports: [
      {stream: "s.>"}, {stream: "p.*", accounts: [B]}, {stream: "tr.*.*"}, {stream: "only.b"}
      {service: "req.*"}, {service: "st.>", response: stream, threshold: "2s"}, {service: "ch", response_type: chunked}
      {service: "lat", latency: {sampling: 100%, subject: "lat.out"}}, {service: "tok.*", account_token_position: 2}
    ]
  }
  B {
    users: [{user: b, password: b}]
    exports: [{stream: "from.a.>"}, {service: "q.>"}]
    imports: [
      {stream: {account: A, subject: "s.>"}, prefix: "from.a"}, {stream: {account: A, subject: "p.*"}, to: "priv.*"}
      {stream: {account: A, subject: "tr.*.*"}, to: "rt.$2.$1"}, {stream: {account: A, subject: "only.b"}}
      {service: {account: A, subject: "req.*"}, to: "q.*"}, {service: {account: A, subject: "st.>"}, share: true}
      {service: {account: A, subject: "lat"}}, {service: {account: A, subject: "ch"}}, {service: {account: A, subject: "tok.B"}, to: "mine"}
    ]
  }
  C {
    users: [{user: c, password: c}]
    imports: [
      {stream: {account: B, subject: "from.a.>"}, prefix: "via.b"}, {service: {account: B, subject: "q.>"}, to: "cq.>"}
    ]
  }
  SYS { users: [{user: s, password: s}] }
}
system_account: SYS
`

// Under one name, then under another.
const RELOADED = [['s', 'req'], ['t', 'ask']].map(([stream, service]) => `
accounts {
  A { users: [{user: a, password: a}], exports: [{stream: "s.*"}, {service: "req"}] }
  B { users: [{user: b, password: b}], imports: [{stream: {account: A, subject: "s.*"}, to: "${stream}.*"}, {service: {account: A, subject: "req"}, to: ${service}}] }
}
`)

// Nobody may import what is not for him, or himself in circles.
const REFUSED = {
  'a private export is for who is named': ['A { exports: [{stream: "p", accounts: [B]}] }\n B {}\n C { imports: [{stream: {account: A, subject: "p"}}] }'],
  'an import needs an export': ['A {}\n B { imports: [{service: {account: A, subject: "x"}}] }'],
  'services in a circle': ['A { exports: [{service: "a.>"}], imports: [{service: {account: B, subject: "b.>"}, to: "a.>"}] }\n' +
    ' B { exports: [{service: "b.>"}], imports: [{service: {account: A, subject: "a.>"}, to: "b.>"}] }'],
  'a token that names another account': ['A { exports: [{service: "tok.*", account_token_position: 2}] }\n B { imports: [{service: {account: A, subject: "tok.C"}}] }']
}

let directory
let servers

function configure (name, text) {
  const file = path.join(directory, name)
  fs.writeFileSync(file, text)
  return file
}

/** Random and time out of a line; what stays is who was told what. */
function plain (line) {
  return line.replace(/_R_\.[\w.]+/g, '_R_').replace(/^(HMSG .*?)( \d+ \d+)\r/, '$1\r')
    .replace(/"rtt":\d+,?/g, '').replace(/"(start|id|server|host)":("[^"]*"|\d+),?/g, '').replace(/,}/g, '}')
    .replace(/Nats-Subject: .*\r\n/, '').replace(/^(H?MSG tok.B) \d/, '$1 one')
}

/** One conversation with one server: clients by the name of their user. */
class Scene {
  static async open (server, users) {
    const scene = new Scene()
    scene.clients = {}
    for (const user of users) {
      scene.clients[user] = await Raw.connect(server, { user: user[0], pass: user[0], name: `n-${user}`, lang: 'js', version: '1' })
      await scene.clients[user].flush()
    }
    scene.heard = []
    return scene
  }

  /** Says it, and notes what everybody hears. Gives the last reply subject that was heard. */
  async say (user, text) {
    this.clients[user].send(text)
    let reply = null
    const order = [user, ...Object.keys(this.clients).filter((other) => other !== user)]
    for (const other of order) {
      // Sorted: nobody promises the order of subscriptions.
      for (const line of (await this.clients[other].flush()).sort()) {
        this.heard.push(`${other}: ${plain(line)}`)
        reply = (/_R_\.[\w.]+/.exec(line) || [reply])[0]
      }
    }
    return reply
  }

  close () { for (const client of Object.values(this.clients)) client.destroy() }
}

/** The same conversation with both. */
async function same (users, talk) {
  const heard = []
  for (const server of servers) {
    const scene = await Scene.open(server, users)
    await talk(scene)
    scene.close()
    heard.push(scene.heard)
  }
  assert.deepStrictEqual(heard[0], heard[1])
  return heard[0]
}

const pub = (subject, body = '', reply = '') => `PUB ${subject} ${reply} ${body.length}\r\n${body}\r\n`

test('CO-S07 accounts do not hear each other', async () => {
  const heard = await same(['a', 'b', 'c'], async (scene) => {
    for (const user of ['a', 'b', 'c']) await scene.say(user, 'SUB x.> 1\r\n')
    await scene.say('a', pub('x.1', 'hi'))
    await scene.say('b', pub('x.2', 'hi'))
    await scene.say('c', pub('x.3', 'hi', 'in') + 'SUB in 2\r\n' + pub('nobody', '', 'in'))
  })
  assert.strictEqual(heard.filter((line) => line.includes('MSG x.')).length, 3)
})

test('CO-S08 streams are imported under a prefix, another name, turned around', async () => {
  const heard = await same(['a', 'b', 'c'], async (scene) => {
    await scene.say('b', 'SUB from.a.> 1\r\nSUB priv.* 2\r\nSUB rt.*.* 3\r\nSUB rt.x.* 4\r\nSUB only.b 5\r\nSUB * 6\r\n')
    await scene.say('c', 'SUB via.b.> 1\r\nSUB s.> 2\r\nSUB p.> 3\r\n')
    await scene.say('a', 'SUB from.a.> 1\r\n' + pub('s.one', 'hi') + pub('s.two.three', 'hi', 'answer.me'))
    await scene.say('a', pub('p.x', 'hi') + pub('tr.y.x', 'hi') + pub('tr.y', 'hi') + pub('only.b', 'hi'))
    await scene.say('a', 'HPUB s.h 24 26\r\nNATS/1.0\r\nKey: value\r\n\r\nhi\r\n')
    await scene.say('b', pub('from.a.own', 'hi'))
    await scene.say('b', 'UNSUB 1 1\r\n' + pub('from.a.own', 'hi'))
  })
  assert.ok(heard.some((line) => line.includes('rt.x.y')))
})

test('CO-S08 a request goes to the service and the answer comes back, once', async () => {
  const heard = await same(['a', 'b', 'c'], async (scene) => {
    await scene.say('a', 'SUB req.* 1\r\n')
    await scene.say('b', 'SUB in.> 1\r\nSUB q.x 2\r\n')
    const reply = await scene.say('b', pub('q.x', 'hi', 'in.1'))
    await scene.say('c', pub(reply, 'forged'))
    await scene.say('a', pub(reply, 'answer'))
    await scene.say('a', pub(reply, 'second'))
    await scene.say('b', pub('q.y', 'no reply'))
    await scene.say('b', 'HPUB q.z in.2 24 26\r\nNATS/1.0\r\nKey: value\r\n\r\nhi\r\n')
  })
  assert.strictEqual(heard.filter((line) => line.startsWith('b: MSG in.1')).length, 1)
})

test('CO-S08 over two accounts, and who asks may answer back', async () => {
  await same(['a', 'b', 'c'], async (scene) => {
    await scene.say('a', 'SUB req.* 1\r\nSUB back 2\r\n')
    await scene.say('c', 'SUB in.> 1\r\n')
    const reply = await scene.say('c', pub('cq.x', 'hi', 'in.1'))
    const back = await scene.say('a', pub(reply, 'answer', 'back'))
    await scene.say('c', pub(back, 'and back'))
  })
})

test('CO-S08 streamed and chunked answers end with an empty message', async () => {
  await same(['a', 'b'], async (scene) => {
    await scene.say('a', 'SUB st.> 1\r\nSUB ch 2\r\n')
    await scene.say('b', 'SUB in.> 1\r\n')
    for (const subject of ['st.x', 'ch']) {
      const reply = await scene.say('b', pub(subject, 'hi', 'in.1'))
      for (const body of ['1', '2', '', 'late']) await scene.say('a', pub(reply, body))
    }
  })
})

test('CO-S08 one member of a group serves; the token of an account is its own', async () => {
  await same(['a', 'b'], async (scene) => {
    await scene.say('a', 'SUB tok.> workers 1\r\nSUB tok.> workers 2\r\n')
    await scene.say('b', 'SUB in 1\r\n')
    const reply = await scene.say('b', pub('mine', 'hi', 'in'))
    await scene.say('a', pub(reply, 'yours'))
  })
})

test('CO-P09 a queue group on both sides of an imported stream is one group', async () => {
  for (const server of servers) {
    const scene = await Scene.open(server, ['a', 'b', 'a2'])
    await scene.say('a', 'SUB s.group workers 1\r\n')
    await scene.say('b', 'SUB from.a.s.* workers 1\r\nSUB from.a.s.group others 2\r\n')
    await scene.say('a2', pub('s.group').repeat(200))
    const count = (word) => scene.heard.filter((line) => line.startsWith(word)).length
    const [here, there] = [count('a: MSG'), count('b: MSG from.a.s.group 1')]
    assert.strictEqual(here + there, 200)
    assert.ok(here > 50 && there > 50, `${here} and ${there}`)
    assert.strictEqual(count('b: MSG from.a.s.group 2'), 200)
    scene.close()
  }
})

test('CO-S08 CO-X02 a reload changes imports for who is connected', async () => {
  const file = configure('reload.conf', RELOADED[0])
  const heard = []
  for (const program of [undefined, PEER]) {
    fs.writeFileSync(file, RELOADED[0])
    const server = await Server.start(['-c', file], program ? { program } : {})
    const scene = await Scene.open(server, ['a', 'b'])
    await scene.say('a', 'SUB req 1\r\n')
    await scene.say('b', 'SUB s.* 1\r\nSUB t.* 2\r\nSUB in 3\r\n')
    await scene.say('a', pub('s.1'))
    const reply = await scene.say('b', pub('req', '', 'in'))
    fs.writeFileSync(file, RELOADED[1])
    server.child.kill('SIGHUP')
    await server.logged(/Reloaded(?: server)? configuration|configuration reloaded/i)
    await scene.say('a', pub('s.2'))
    await scene.say('b', pub('req', 'gone', 'nowhere') + pub('ask', 'new', 'in'))
    await scene.say('a', pub(reply, 'asked before'))
    scene.close()
    heard.push(scene.heard)
    await server.stop()
  }
  assert.deepStrictEqual(heard[0], heard[1])
  assert.ok(heard[0].some((line) => line.includes('MSG t.2')))
})

test('CO-P10 a service without responders is answered with 503', async () => {
  const scene = await Scene.open(servers[0], ['b', 'c'])
  await scene.say('b', 'SUB in 1\r\n' + pub('q.x', 'hi', 'in'))
  await scene.say('c', 'SUB in 1\r\n' + pub('cq.x', 'hi', 'in'))
  scene.close()
  assert.deepStrictEqual(scene.heard.map((line) => line.split('\r\n')[1]), ['NATS/1.0 503', 'NATS/1.0 503'])
})

test('CO-S08 the latency of a service is told to its account', async () => {
  const fields = []
  for (const server of servers) {
    const scene = await Scene.open(server, ['a', 'b'])
    await scene.say('a', 'SUB lat 1\r\nSUB lat.out 2\r\n')
    await scene.say('b', 'SUB in 1\r\n')
    await scene.say('a', pub(await scene.say('b', pub('lat', 'hi', 'in')), 'x'))
    const metric = (await until(async () => { await scene.say('a', ''); return scene.heard.find((line) => line.includes('MSG lat.out')) }))
    fields.push(Object.keys(JSON.parse(metric.slice(metric.indexOf('{')))))
    scene.close()
  }
  assert.deepStrictEqual(fields[0], fields[1])
})

async function until (look) {
  for (;;) {
    const found = await look()
    if (found) return found
  }
}

test('CO-Y02 CO-Y03 CO-Y32 the system account hears who comes and goes', async () => {
  const events = []
  for (const server of servers) {
    const scene = await Scene.open(server, ['s'])
    await scene.say('s', 'SUB $SYS.ACCOUNT.*.CONNECT 1\r\nSUB $SYS.ACCOUNT.*.DISCONNECT 2\r\nSUB $SYS.SERVER.*.CLIENT.AUTH.ERR 3\r\n')
    const kinds = []
    const next = async (what) => {
      const line = await until(async () => { await scene.say('s', ''); return scene.heard.find((heard) => heard.includes(what)) })
      scene.heard = []
      const event = JSON.parse(line.slice(line.indexOf('{')))
      kinds.push([event.type, Object.keys(event), Object.keys(event.client).filter((key) => key !== 'rtt'), event.client.acc, event.client.user, event.reason])
    }
    const a = await Raw.connect(server, { user: 'a', pass: 'a', name: 'n', lang: 'js', version: '1' })
    await next('.A.CONNECT')
    a.destroy()
    await next('.A.DISCONNECT')
    const bad = await Raw.connect(server, { user: 'a', pass: 'wrong', name: 'n', lang: 'js', version: '1' })
    await bad.end()
    await next('AUTH.ERR')
    scene.close()
    events.push(kinds)
  }
  assert.deepStrictEqual(events[0], events[1])
})

test('CO-S08 npm nats asks a service of another account', async () => {
  for (const server of servers) {
    const codec = StringCodec()
    const a = await connect({ servers: server.url, user: 'a', pass: 'a' })
    const b = await connect({ servers: server.url, user: 'b', pass: 'b' })
    a.subscribe('req.*', { callback: (error, message) => { message.respond(codec.encode(error ? 'error' : message.subject + message.headers.has('Nats-Request-Info'))) } })
    await a.flush()
    const [one, two] = await Promise.all([b.request('q.1', codec.encode('?')), b.request('q.2', codec.encode('?'), { timeout: 5000, headers: headers() })])
    assert.deepStrictEqual([codec.decode(one.data), codec.decode(two.data)], ['req.1true', 'req.2true'])
    await a.close()
    await b.close()
  }
})

for (const [name, [accounts]] of Object.entries(REFUSED)) {
  test(`CO-S08 refused: ${name}`, async () => {
    const file = configure('refused.conf', `accounts {\n ${accounts}\n}\n`)
    for (const program of [undefined, PEER]) await assert.rejects(Server.start(['-c', file], program ? { program } : {}))
  })
}

run({
  atOnce: 1, // they share accounts
  async before () {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-accounts-'))
    const file = configure('accounts.conf', CONFIG)
    servers = [await Server.start(['-c', file]), await Server.start(['-c', file], { program: PEER })]
  },
  async after () {
    for (const server of servers || []) await server.stop()
    fs.rmSync(directory, { recursive: true, force: true })
  }
})
