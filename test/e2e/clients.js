// SPDX-License-Identifier: Apache-2.0
// weir pub, sub, req and bench as people call them, over TLS and with every way to say who one is (CO-S01, S02, S03): with our
// server and with Debian's nats-server. Prints TAP.
'use strict'

const assert = require('assert')
const { spawn } = require('child_process')
const net = require('net')
const { test, run } = require('../conformance/lib/tap')
const { Certificates } = require('../conformance/lib/certificates')
const { Server, program } = require('../conformance/lib/server')
const { event, until, unique } = require('../conformance/lib/wait')

const PEER = process.env.NATS_SERVER || '/usr/sbin/nats-server'
const SEED = 'SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU'
const PUBLIC = 'UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L'
const files = new Certificates()

function start (t, config, chosen) {
  return Server.start(['-c', files.write(unique('conf'), config)], { program: chosen }).then((server) => {
    t.after(() => server.stop())
    return server
  })
}

function block (name, more = '') {
  return `tls { cert_file: "${files.path(`${name}.pem`)}", key_file: "${files.path(`${name}.key`)}", ca_file: "${files.path('ca.pem')}"\n${more} }\n`
}

/** Starts the program; `ended` resolves to what it said. */
function weir (...args) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  child.said = { out: '', err: '' }
  child.stdout.on('data', (data) => { child.said.out += data })
  child.stderr.on('data', (data) => { child.said.err += data })
  child.ended = new Promise((resolve) => child.once('close', (code) => resolve({ code, ...child.said })))
  return child
}

/** A message goes from pub to sub. */
async function carries (t, ...options) {
  const sub = weir('sub', ...options, '--count', '1', '--raw', 'clients.a')
  t.after(() => sub.kill())
  // With --raw nobody says when it listens.
  let got = ''
  sub.stdout.on('data', (data) => { got += data })
  for (let sent = 0; !got && sent < 200; sent++) {
    const pub = await weir('pub', ...options, 'clients.a', 'hello').ended
    assert.deepStrictEqual(pub, { code: 0, out: '', err: '' })
  }
  const done = await sub.ended
  assert.deepStrictEqual(done, { code: 0, out: 'hello\n', err: '' })
}

async function refuses (wanted, ...options) {
  for (const command of [['pub', 'a', 'b'], ['bench', 'pub', '--quiet']]) {
    const done = await weir(command[0], ...options, ...command.slice(1)).ended
    assert.strictEqual(done.code, 1, done.err)
    assert.ok(done.err.startsWith(`weir ${command[0]}: `) && done.err.includes(wanted), `${done.err} should say ${wanted}`)
    assert.strictEqual(done.err.split('\n').length, 2, done.err)
  }
}

for (const [who, chosen] of [['Weir', program], ['nats-server', PEER]]) {
  test(`CO-S01 TLS with ${who}`, async (t) => {
    const server = await start(t, block('server'), chosen)
    const ca = ['--tlscacert', files.path('ca.pem')]
    await carries(t, '-s', `tls://localhost:${server.port}`, ...ca)
    await carries(t, '-s', `localhost:${server.port}`, ...ca)
    await carries(t, '-s', `nats://127.0.0.1:${server.port}`, '--tls', '--tlsca', files.path('ca.pem'))
    await carries(t, '-s', `nats://localhost:${server.port}`, '--tlsskip')
    await refuses('the TLS handshake failed: unable to get local issuer certificate', '-s', `tls://localhost:${server.port}`,
      '--tlscacert', files.path('other-ca.pem'))
    await refuses('the TLS handshake failed: unable to get local issuer certificate', '-s', `localhost:${server.port}`)
    await refuses('the TLS handshake failed: IP address mismatch', '-s', `tls://127.0.0.2:${server.port}`.replace('127.0.0.2', '[::ffff:127.0.0.1]'), ...ca)
    await refuses('cannot read the CA file', '-s', `tls://localhost:${server.port}`, '--tlscacert', files.path('none.pem'))
  })

  test(`CO-S01 a large message over TLS, both ways, with ${who}`, async (t) => {
    const server = await start(t, block('server'), chosen)
    const options = ['-s', `tls://localhost:${server.port}`, '--tlscacert', files.path('ca.pem'), '--json', '--quiet']
    for (const mode of [['pubsub', '--size', '900000', '--msgs', '60'], ['queue', '--size', '100', '--msgs', '20000'], ['request', '--msgs', '200']]) {
      const done = await weir('bench', ...mode, ...options).ended
      assert.strictEqual(done.code, 0, done.err)
      const result = JSON.parse(done.out)
      assert.deepStrictEqual([result.messages, result.wrong], [Number(mode[mode.length - 1]), 0])
    }
  })

  test(`CO-S01 client certificates with ${who}`, async (t) => {
    const server = await start(t, block('server', 'verify: true'), chosen)
    const options = ['-s', `tls://localhost:${server.port}`, '--tlscacert', files.path('ca.pem')]
    await carries(t, ...options, '--tlscert', files.path('client.pem'), '--tlskey', files.path('client.key'))
    await refuses(who === 'Weir' ? 'certificate required' : 'bad certificate', ...options)
    await refuses('the server broke off the TLS connection', ...options, '--tlscert', files.path('stranger.pem'), '--tlskey', files.path('stranger.key'))
  })

  test(`CO-S02 CO-S03 users, tokens and nkeys with ${who}`, async (t) => {
    const seed = files.write(unique('nkey'), `-----BEGIN USER NKEY SEED-----\n${SEED}\n------END USER NKEY SEED------\n`)
    const users = await start(t, `authorization { users: [ {user: "u@x", password: "p:/ w"}, {nkey: ${PUBLIC}} ] }`, chosen)
    await carries(t, '-s', `u%40x:p%3A%2F%20w@127.0.0.1:${users.port}`)
    await carries(t, '-s', users.url, '--user', 'u@x', '--password', 'p:/ w')
    await carries(t, '-s', users.url, '--nkey', seed)
    await refuses('the server says: Authorization Violation', '-s', users.url)
    await refuses('the server says: Authorization Violation', '-s', users.url, '--user', 'u@x', '--password', 'p')
    await refuses('holds no seed', '-s', users.url, '--nkey', files.path('client.key'))
    await refuses('cannot read the nkey file', '-s', users.url, '--nkey', files.path('none.key'))
    const token = await start(t, 'authorization { token: s3cret }', chosen)
    await carries(t, '-s', `s3cret@127.0.0.1:${token.port}`)
    await carries(t, '-s', token.url, '--token', 's3cret')
    await refuses('Authorization Violation', '-s', token.url, '--token', 's3crets')
    await refuses('the server does not take nkeys', '-s', token.url, '--nkey', seed)
  })

  test(`CO-S01 who wants TLS does not speak in the clear with ${who}`, async (t) => {
    const server = await start(t, '', chosen)
    await refuses('the server has no TLS', '-s', `tls://localhost:${server.port}`)
    await refuses('the server has no TLS', '-s', server.url, '--tls')
  })
}

test('CO-S01 the handshake may come first', async (t) => {
  const server = await start(t, block('server', 'handshake_first: true'))
  await carries(t, '-s', `tls://localhost:${server.port}`, '--tlsfirst', '--tlscacert', files.path('ca.pem'))
  const plain = await start(t, '')
  await refuses('the other side does not speak TLS', '-s', plain.url, '--tlsfirst')
})

test('CO-S01 what stands between INFO and the handshake is not believed', async (t) => {
  const liar = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.write('INFO {"tls_required":true,"max_payload":1000}\r\nPING\r\n')
  })
  t.after(() => liar.close())
  liar.listen(0, '127.0.0.1')
  await event(liar, 'listening')
  await refuses('the server sends something in front of the TLS handshake', '-s', `127.0.0.1:${liar.address().port}`)
})

test('options that do not go together are told', async () => {
  for (const [wanted, ...options] of [
    ['--tlscert and --tlskey', '--tlscert', 'x'], ['--tlscert and --tlskey', '--tlskey', 'x'],
    ['--user and --password', '--user', 'x'], ['--tlsskip', '--tlsskip', '--tlscacert', 'x'],
    ['is enough', '--token', 'x', '--nkey', 'x'], ['is enough', '--user', 'x', '--password', 'y', '--token', 'z']
  ]) {
    for (const command of [['pub', 'a', 'b'], ['sub', 'a'], ['req', 'a'], ['bench', 'pub']]) {
      const done = await weir(command[0], ...options, ...command.slice(1)).ended
      assert.strictEqual(done.code, 2, done.err)
      assert.ok(done.err.startsWith(`weir ${command[0]}: `) && done.err.includes(wanted), done.err)
    }
  }
})

test('req over TLS', async (t) => {
  const server = await start(t, block('server'))
  const options = ['-s', `tls://localhost:${server.port}`, '--tlscacert', files.path('ca.pem')]
  const nobody = await weir('req', ...options, 'clients.r', 'x').ended
  assert.deepStrictEqual(nobody, { code: 1, out: '', err: 'weir req: nobody listens on clients.r\n' })
  const sub = weir('sub', ...options, 'clients.r')
  t.after(() => sub.kill())
  await until(() => sub.said.err.includes('Listening on'), 'sub listens')
  const silence = await weir('req', ...options, '--timeout', '1', 'clients.r', 'x').ended
  assert.deepStrictEqual(silence, { code: 1, out: '', err: 'weir req: no reply within 1 ms\n' })
})

run({
  atOnce: 3,
  before: () => {
    files.authority('ca')
    files.authority('other-ca')
    files.sign('server', 'ca')
    files.sign('client', 'ca')
    files.sign('stranger', 'other-ca')
  }
})
