// SPDX-License-Identifier: Apache-2.0
// CO-S01: TLS with the npm client, with Node's own TLS where a client would be too polite, and with the openssl command.
'use strict'

const assert = require('assert')
const { execFile } = require('child_process')
const crypto = require('crypto')
const fs = require('fs')
const https = require('https')
const net = require('net')
const path = require('path')
const tls = require('tls')
const nats = require('nats')
const { test, run } = require('./lib/tap')
const { Raw } = require('./lib/raw')
const { Certificates } = require('./lib/certificates')
const { Server, isPeer } = require('./lib/server')
const { event, until, within, unique } = require('./lib/wait')

const MIB = 1 << 20
const files = new Certificates()
const servers = []

/**
 * A server with this tls block (the certificate is there already); `rest`: lines beside it. A handshake may take longer than the usual
 * two seconds, unless `usual`: many are made at once, all in this process, on a machine that may be busy.
 */
async function start (block = '', rest = '', options = {}) {
  const name = unique('conf')
  if (!options.usual) block = `timeout: ${options.timeout || 20}\n${block}`
  const config = files.write(name, `tls { cert_file: "${files.path('server.pem')}", key_file: "${files.path('server.key')}"\n${block}\n}\n${rest}\n`)
  const server = await Server.start(['-c', config, ...(options.flags || [])])
  servers.push(server)
  return server
}

function connect (t, server, options = {}, tlsOptions = {}) {
  return nats.connect({
    servers: `localhost:${server.port}`,
    reconnect: false,
    timeout: 10000,
    ...options,
    tls: { ca: files.read('ca.pem'), ...tlsOptions }
  }).then((nc) => { t.after(() => nc.close()); return nc })
}

function shown (name) {
  return { cert: files.read(`${name}.pem`), key: files.read(`${name}.key`) }
}

/** Node's own TLS behind the INFO line; `tlsOptions` over the ones that work. Resolves to the secure socket. */
async function secure (t, server, tlsOptions = {}) {
  const raw = await Raw.open(server)
  raw.socket.removeAllListeners('data')
  const socket = tls.connect({ socket: raw.socket, ca: files.read('ca.pem'), servername: 'localhost', ...tlsOptions })
  t.after(() => socket.destroy())
  const closed = raw.closed.then(() => { throw new Error('closed before the handshake was done') })
  closed.catch(() => {})
  await Promise.race([event(socket, 'secureConnect'), closed])
  return socket
}

/** What a secure socket says until a text came. */
async function hear (socket, wanted) {
  let text = ''
  socket.on('data', (data) => { text += data.toString('latin1') })
  socket.on('error', () => {})
  await until(() => text.includes(wanted) || socket.destroyed, `the server says ${wanted}`)
  if (!text.includes(wanted)) throw new Error('closed')
  return text
}

async function speaks (socket) {
  const heard = hear(socket, 'PONG')
  socket.write('CONNECT {"verbose":false,"pedantic":false}\r\nPING\r\n')
  return heard
}

/** The connection ends without having been served. */
async function refused (promise) {
  let error
  try { await promise } catch (thrown) { error = thrown }
  assert.ok(error, 'the connection was served')
}

let plain

test('CO-S01 the npm client speaks TLS, and a payload of 1 MiB comes back as it went', async (t) => {
  const nc = await connect(t, plain)
  assert.strictEqual(nc.info.tls_required, true)
  const payload = crypto.randomBytes(MIB)
  nc.subscribe('echo', { callback: (error, message) => { assert.ifError(error); message.respond(message.data) } })
  for (let i = 0; i < 5; i++) {
    const answer = await nc.request('echo', payload, { timeout: 15000 })
    assert.ok(payload.equals(Buffer.from(answer.data)))
  }
})

test('CO-S01 INFO says what is asked for', async (t) => {
  const one = await Raw.open(plain)
  t.after(() => one.destroy())
  assert.strictEqual(one.info.tls_required, true)
  assert.ok(!one.info.tls_verify && !one.info.tls_available)
  const strict = await start(`ca_file: "${files.path('ca.pem')}", verify: true`)
  const two = await Raw.open(strict)
  t.after(() => two.destroy())
  assert.strictEqual(two.info.tls_required, true)
  assert.strictEqual(two.info.tls_verify, true)
})

test('CO-S01 a client that does not trust the server goes', async (t) => {
  await refused(connect(t, plain, {}, { ca: files.read('other.pem') }))
  await speaks(await secure(t, plain))
})

test('CO-S01 with verify only clients whose certificate is good come in', async (t) => {
  const server = await start(`ca_file: "${files.path('ca.pem')}", verify: true`)
  const nc = await connect(t, server, {}, shown('client'))
  await nc.flush()
  await refused(connect(t, server))
  await refused(connect(t, server, {}, shown('stranger')))
  await refused(connect(t, server, {}, shown('expired')))
  if (!isPeer) {
    await server.logged(/TLS handshake error: peer did not return a certificate/)
    await server.logged(/TLS handshake error: unable to get local issuer certificate/)
    await server.logged(/TLS handshake error: certificate has expired/)
  }
  await nc.flush()
})

test('CO-S01 pinned_certs name the keys that may come in', async (t) => {
  const key = new crypto.X509Certificate(files.read('client.pem')).publicKey.export({ type: 'spki', format: 'der' })
  const pin = crypto.createHash('sha256').update(key).digest('hex')
  const server = await start(`ca_file: "${files.path('ca.pem')}", verify: true, pinned_certs: ["${pin}"]`)
  const nc = await connect(t, server, {}, shown('client'))
  await nc.flush()
  await refused(connect(t, server, {}, shown('second')).then((other) => other.flush()))
})

test('CO-S01 verify_and_map: the certificate says which user it is, by email, DNS name or subject', async (t) => {
  const server = await start(`ca_file: "${files.path('ca.pem')}", verify_and_map: true`, `authorization { users: [
    { user: "client@example.com", permissions: { publish: "email", subscribe: "none" } }
    { user: "worker.example.com", permissions: { publish: "dns", subscribe: "none" } }
    { user: "CN=second,OU=test,O=Weir", permissions: { publish: "subject", subscribe: "none" } }
  ] }`)
  for (const [name, subject] of [['client', 'email'], ['worker', 'dns'], ['second', 'subject']]) {
    const socket = await secure(t, server, shown(name))
    const heard = hear(socket, 'PONG')
    socket.write(`CONNECT {"verbose":false,"pedantic":false}\r\nPUB ${subject} 0\r\n\r\nPUB other 0\r\n\r\nPING\r\n`)
    assert.deepStrictEqual((await heard).match(/-ERR.*/g), ["-ERR 'Permissions Violation for Publish to \"other\"'"], name)
  }
  await assert.rejects(connect(t, server, {}, shown('nobody')), /Authorization Violation/i)
  await refused(connect(t, server))
})

test('CO-S01 handshake_first: INFO comes after the handshake', async (t) => {
  if (isPeer) return
  const server = await start('handshake_first: true', '', { timeout: 5 })
  const nc = await connect(t, server, {}, { handshakeFirst: true })
  assert.strictEqual(nc.info.tls_required, true)
  await nc.flush()
  const silent = net.connect(server.port, '127.0.0.1')
  t.after(() => silent.destroy())
  let heard = 0
  silent.on('data', (data) => { heard += data.length })
  await event(silent, 'close')
  assert.strictEqual(heard, 0)
})

test('CO-S01 handshake_first auto serves both kinds of clients', async (t) => {
  if (isPeer) return
  // As "auto", with more patience: on a busy machine a client needs more than 50 ms to begin.
  const server = await start('handshake_first: "2s"')
  const first = await connect(t, server, {}, { handshakeFirst: true })
  await first.flush()
  const later = await connect(t, server)
  await later.flush()
})

test('CO-S01 allow_non_tls serves clients with and without', async (t) => {
  const server = await start('', 'allow_non_tls: true')
  const with_ = await connect(t, server)
  await with_.flush()
  const raw = await Raw.connect(server)
  t.after(() => raw.destroy())
  assert.strictEqual(raw.info.tls_available, true)
  assert.ok(!raw.info.tls_required)
  assert.deepStrictEqual(await raw.flush(), [])
  const without = await nats.connect({ servers: `127.0.0.1:${server.port}`, reconnect: false, tls: null })
  t.after(() => without.close())
  await without.flush()
})

test('CO-S01 TLS 1.1 is refused, 1.2 is spoken, and min_version raises that', async (t) => {
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }
  await refused(secure(t, plain, old))
  const two = await secure(t, plain, { maxVersion: 'TLSv1.2' })
  assert.strictEqual(two.getProtocol(), 'TLSv1.2')
  assert.match(two.getCipher().standardName, /^TLS_ECDHE_.*_(GCM|POLY1305)/)
  await speaks(two)
  if (isPeer) return
  const server = await start('min_version: "1.3", cipher_suites: ["TLS_AES_256_GCM_SHA384"], curve_preferences: ["CurveP384"]')
  await refused(secure(t, server, { maxVersion: 'TLSv1.2' }))
  const three = await secure(t, server)
  assert.strictEqual(three.getCipher().standardName, 'TLS_AES_256_GCM_SHA384')
  await speaks(three)
})

test('CO-S01 a plain client hears that TLS is required', async (t) => {
  const raw = await Raw.connect(plain)
  t.after(() => raw.destroy())
  const lines = await raw.end()
  if (!isPeer) assert.deepStrictEqual(lines, ["-ERR 'Secure Connection - TLS Required'"])
  await plain.logged(/cid:\d+ - TLS handshake error: (tls: )?first record does not look like a TLS handshake/)
})

test('CO-S01 a client that says nothing has two seconds', async (t) => {
  const server = await start('', '', { usual: true })
  const begin = Date.now()
  const raw = await Raw.open(server)
  t.after(() => raw.destroy())
  await raw.end(10000)
  assert.ok(Date.now() - begin >= 1500, 'too early')
  await server.logged(/TLS handshake (timeout|error: .*timeout)/)
})

/** A proxy that passes on what clients send in pieces of one byte, or only the first `end` bytes. */
async function proxy (t, server, { end = Infinity } = {}) {
  const listener = net.createServer((client) => {
    const upstream = net.connect(server.port, '127.0.0.1')
    upstream.setNoDelay(true)
    let passed = 0
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
    upstream.pipe(client)
    client.on('close', () => upstream.destroy())
    client.on('data', (data) => {
      for (const byte of data) {
        if (passed++ >= end) {
          upstream.destroy()
          client.destroy()
          return
        }
        upstream.write(Buffer.from([byte]))
      }
    })
  })
  listener.listen(0, '127.0.0.1')
  await event(listener, 'listening')
  t.after(() => listener.close())
  return { port: listener.address().port }
}

test('CO-S01 bytes may come one by one', async (t) => {
  const nc = await connect(t, await proxy(t, plain))
  const sub = nc.subscribe('slowly')
  nc.publish('slowly', 'one by one')
  await nc.flush()
  for await (const message of sub) {
    assert.strictEqual(message.string(), 'one by one')
    break
  }
})

test('CO-S01 a handshake may be cut anywhere; the server serves on', async (t) => {
  for (let end = 1; end < 430; end += 33) await refused(secure(t, await proxy(t, plain, { end })).then(speaks))
  await speaks(await secure(t, plain))
})

test('CO-S01 garbage behind the handshake ends that connection only', async (t) => {
  const socket = await secure(t, plain)
  await speaks(socket)
  const raw = await Raw.open(plain)
  t.after(() => raw.destroy())
  raw.send(Buffer.from([0x16, 3, 1, 0, 4, 1, 2, 3, 4]))
  await raw.end()
  await speaks(await secure(t, plain))
})

test('CO-S01 a reader that rests gets everything, and holds nobody up', async (t) => {
  const server = await start('', 'max_pending: 128MB')
  const subject = unique('rest')
  const reader = await secure(t, server)
  await speaks(reader)
  reader.removeAllListeners('data')
  reader.pause()
  reader.write(`SUB ${subject} 1\r\n`)
  const nc = await connect(t, server)
  const quick = nc.subscribe(subject)
  await until(async () => {
    nc.publish(subject, 'there?')
    await nc.flush()
    return quick.getReceived() > 0
  }, 'the other subscriber hears')
  const hash = crypto.createHash('sha256')
  const wanted = crypto.createHash('sha256')
  for (let i = 0; i < 40; i++) {
    const payload = crypto.randomBytes(MIB)
    wanted.update(payload)
    nc.publish(subject, payload)
    await nc.flush()
  }
  let buffer = Buffer.alloc(0)
  let got = 0
  reader.on('data', (data) => {
    buffer = Buffer.concat([buffer, data])
    for (;;) {
      const end = buffer.indexOf('\r\n')
      if (end < 0) return
      const size = /^MSG \S+ 1 (\d+)$/.exec(buffer.toString('latin1', 0, end))
      const length = size ? Number(size[1]) + 2 : 0
      if (buffer.length < end + 2 + length) return
      if (length === MIB + 2) {
        hash.update(buffer.subarray(end + 2, end + 2 + MIB))
        got++
      }
      buffer = buffer.subarray(end + 2 + length)
    }
  })
  reader.resume()
  await until(() => got === 40, 'all of it arrives', 30000)
  assert.strictEqual(hash.digest('hex'), wanted.digest('hex'))
})

/** The common name that a new connection is shown. */
async function certificateOf (t, server) {
  const socket = await secure(t, server)
  return socket.getPeerCertificate().subject.CN
}

test('CO-S01 SIGHUP: new connections see the new certificate; a broken one changes nothing', async (t) => {
  fs.copyFileSync(files.path('server.pem'), files.path('reload.pem'))
  fs.copyFileSync(files.path('server.key'), files.path('reload.key'))
  const config = files.write(unique('conf'), `tls { cert_file: "${files.path('reload.pem')}", key_file: "${files.path('reload.key')}" }\n`)
  const server = await Server.start(['-c', config])
  servers.push(server)
  const old = await connect(t, server)
  assert.strictEqual(await certificateOf(t, server), 'server')
  fs.copyFileSync(files.path('second.pem'), files.path('reload.pem'))
  fs.copyFileSync(files.path('second.key'), files.path('reload.key'))
  server.child.kill('SIGHUP')
  await until(async () => await certificateOf(t, server) === 'second', 'the new certificate is shown')
  await old.flush()
  files.write('reload.pem', 'this is no certificate\n')
  server.child.kill('SIGHUP')
  await server.logged(isPeer ? /Failed to reload|error/ : /reload\.pem/)
  assert.strictEqual(await certificateOf(t, server), 'second')
  await old.flush()
})

test('CO-S01 openssl s_client speaks to a server with handshake_first', async (t) => {
  if (isPeer) return
  const server = await start('handshake_first: true')
  const client = execFile('openssl', ['s_client', '-connect', `127.0.0.1:${server.port}`, '-CAfile', files.path('ca.pem'), '-verify_return_error', '-quiet', '-no_ign_eof'])
  t.after(() => client.kill())
  let text = ''
  client.stdout.on('data', (data) => { text += data })
  await until(() => text.includes('INFO {'), 's_client shows INFO')
  client.stdin.write('CONNECT {"verbose":false}\r\nPING\r\n')
  await until(() => text.includes('PONG'), 's_client shows PONG')
})

test('CO-S01 libnats speaks TLS, with a certificate of its own', async (t) => {
  const server = await start(`ca_file: "${files.path('ca.pem')}", verify: true`)
  const program = path.join(process.env.BUILD || path.dirname(process.env.WEIR || ''), 'test/conformance/libnats-tls')
  const child = execFile(program, [`tls://localhost:${server.port}`, files.path('ca.pem'), files.path('client.pem'), files.path('client.key')])
  let text = ''
  child.stdout.on('data', (data) => { text += data })
  const code = await within(new Promise((resolve) => child.once('close', resolve)), 'libnats-tls ends', 30000)
  assert.strictEqual(code, 0, text)
})

/** A page over https. */
function page (server, name, options = {}) {
  return within(new Promise((resolve, reject) => {
    https.get({ host: 'localhost', port: server.httpsPort, path: name, ca: files.read('ca.pem'), agent: false, ...options }, (response) => {
      let text = ''
      response.on('data', (data) => { text += data })
      response.on('end', () => resolve(JSON.parse(text)))
    }).on('error', reject)
  }), `GET ${name} over https`)
}

/** A certificate as /connz shows it. */
function listed (name, subject) {
  const certificate = new crypto.X509Certificate(files.read(`${name}.pem`))
  const sha256 = (data) => crypto.createHash('sha256').update(data).digest('hex')
  return { subject, spki_sha256: sha256(certificate.publicKey.export({ type: 'spki', format: 'der' })), cert_sha256: sha256(certificate.raw) }
}

test('CO-S01 monitoring over https, without asking for a certificate', async (t) => {
  const server = await start(`ca_file: "${files.path('ca.pem')}", verify: true`, 'https: "127.0.0.1:-1"')
  server.httpsPort = Number(/https monitor on [\d.]+:(\d+)/.exec(server.log)[1])
  const varz = await page(server, '/varz')
  if (!isPeer) assert.strictEqual(varz.https_port, server.httpsPort)
  assert.strictEqual(varz.http_port, 0)
  assert.strictEqual(varz.tls_required, true)
  assert.strictEqual(varz.tls_verify, true)
  const nc = await connect(t, server, { name: 'shown' }, shown('client'))
  await nc.flush()
  const { connections } = await page(server, '/connz')
  assert.strictEqual(connections[0].tls_version, '1.3')
  assert.match(connections[0].tls_cipher_suite, /^TLS_(AES|CHACHA20)_/)
  assert.ok(!('tls_peer_certs' in connections[0]))
  // Node sends its authority behind its own certificate.
  assert.deepStrictEqual((await page(server, '/connz?auth=1')).connections[0].tls_peer_certs,
    [listed('client', 'CN=client,OU=test,O=Weir'), listed('ca', 'CN=ca')])
  await refused(page(server, '/varz', { ca: files.read('other.pem') }))
  const bare = net.connect(server.httpsPort, '127.0.0.1')
  t.after(() => bare.destroy())
  bare.on('error', () => {})
  bare.resume()
  bare.write('GET /varz HTTP/1.1\r\nHost: a\r\n\r\n')
  await event(bare, 'close')
  assert.strictEqual((await page(server, '/varz')).server_id, varz.server_id)
})

test('CO-S01 the websocket listener has a certificate of its own', async (t) => {
  const server = await start('', `websocket { listen: "127.0.0.1:-1", tls { cert_file: "${files.path('second.pem')}", key_file: "${files.path('second.key')}" } }`)
  const port = Number(/websocket clients on wss:\/\/[\d.]+:(\d+)/.exec(server.log)[1])
  const socket = tls.connect({ port, host: '127.0.0.1', ca: files.read('ca.pem'), servername: 'localhost' })
  t.after(() => socket.destroy())
  await event(socket, 'secureConnect')
  assert.strictEqual(socket.getPeerCertificate().subject.CN, 'second')
  const heard = hear(socket, 'INFO {')
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n')
  assert.match(await heard, /^HTTP\/1.1 101 /)
})

test('CO-S01 a flood of handshakes starves nobody', { alone: true }, async (t) => {
  const nc = await connect(t, plain)
  const wave = Array.from({ length: 200 }, () => secure(t, plain, { minVersion: 'TLSv1.3' }))
  let slowest = 0
  let done = false
  const all = Promise.all(wave).finally(() => { done = true })
  all.catch(() => {}) // awaited below
  while (!done) {
    const begin = process.hrtime.bigint()
    await nc.flush()
    slowest = Math.max(slowest, Number(process.hrtime.bigint() - begin) / 1e6)
  }
  await all
  // The clients' own work in this process is most of it.
  assert.ok(slowest < 5000, `${slowest} ms for a ping`)
})

run({
  async before () {
    files.authority('ca')
    files.authority('other')
    files.sign('server', 'ca')
    files.sign('second', 'ca', { key: 'rsa:2048' })
    files.sign('client', 'ca')
    files.sign('worker', 'ca', { names: 'email:unknown@example.com,DNS:worker.example.com' })
    files.sign('nobody', 'ca', { names: 'DNS:nobody.example.com' })
    files.sign('stranger', 'other')
    files.sign('expired', 'ca', { days: 0 })
    plain = await start()
  },
  async after () { for (const server of servers) await server.stop() }
})
