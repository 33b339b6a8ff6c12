// SPDX-License-Identifier: Apache-2.0
// Websocket connections (CO-T04): unmodified clients in Node (nats.ws and @nats-io/nats-core on the `ws` library) and in real Chromium, and bare
// requests and frames. WEIR=/usr/sbin/nats-server runs it against nats-server.
'use strict'

const assert = require('assert')
const crypto = require('crypto')
const fs = require('fs')
const http = require('http')
const net = require('net')
const os = require('os')
const path = require('path')
const { spawn } = require('child_process')
const { WebSocket } = require('ws')
const { test, run } = require('./lib/tap')
const { Server, isPeer } = require('./lib/server')
const { unique, until, within } = require('./lib/wait')

globalThis.WebSocket = WebSocket
const tcp = require('nats')
const browser = require('nats.ws')
const core = require('@nats-io/nats-core')

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-websocket-'))
let server
let strict

function port (from) {
  const file = path.join(from.portsDirectory, fs.readdirSync(from.portsDirectory).find((name) => name.endsWith('.ports')))
  return Number(new URL(JSON.parse(fs.readFileSync(file, 'utf8')).websocket[0]).port)
}

async function start (block) {
  const name = path.join(directory, unique('conf'))
  const ports = fs.mkdtempSync(path.join(directory, 'ports-'))
  fs.writeFileSync(name, `websocket { listen: "127.0.0.1:-1", no_tls: true\n${block}\n}\n`)
  const started = await Server.start(['-c', name, '--ports_file_dir', ports], { http: true })
  started.portsDirectory = ports
  await until(() => fs.readdirSync(ports).some((file) => file.endsWith('.ports')), 'the ports file')
  started.websocket = port(started)
  return started
}

async function connect (t, library, options = {}, to = server) {
  const open = library === browser ? browser.connect : core.wsconnect
  const client = await open({ servers: `ws://127.0.0.1:${to.websocket}`, reconnect: false, ...options })
  t.after(() => client.close())
  return client
}

const text = (message) => new TextDecoder().decode(message.data)

for (const [name, library] of [['nats.ws', browser], ['@nats-io/nats-core', core]]) {
  test(`CO-T04 ${name} publishes, subscribes and requests, also with clients on TCP`, async (t) => {
    const client = await connect(t, library)
    const plain = await tcp.connect({ servers: `127.0.0.1:${server.port}` })
    t.after(() => plain.close())
    const subject = unique('ws')
    const got = []
    plain.subscribe(`${subject}.to`, { callback: (error, message) => { got.push(error || tcp.StringCodec().decode(message.data)) } })
    plain.subscribe(`${subject}.ask`, { callback: (error, message) => { if (!error) message.respond(`answer to ${tcp.StringCodec().decode(message.data)}`) } })
    await plain.flush()
    client.publish(`${subject}.to`, 'héllo')
    await client.flush()
    assert.strictEqual(text(await client.request(`${subject}.ask`, 'this', { timeout: 5000 })), 'answer to this')
    await until(() => got.length === 1, 'the message')
    assert.deepStrictEqual(got, ['héllo'])
    await assert.rejects(client.request(unique('nobody'), '', { timeout: 5000 }))
  })

  test(`CO-T04 ${name} carries large and many messages unharmed`, async (t) => {
    const client = await connect(t, library)
    const subject = unique('big')
    const seen = crypto.createHash('sha256')
    const sent = crypto.createHash('sha256')
    let bytes = 0
    const sub = client.subscribe(subject)
    const reader = (async () => {
      for await (const message of sub) {
        seen.update(message.data)
        bytes += message.data.length
        if (bytes >= 8 * 1024 * 1024) break
      }
    })()
    let total = 0
    while (total < 8 * 1024 * 1024) {
      const kind = total % 3
      const size = kind === 0 ? 1024 * 1024 : kind === 1 ? 100000 : 1 + total % 200
      const payload = kind === 1 ? Buffer.alloc(size, 'x') : crypto.randomBytes(Math.min(size, 8 * 1024 * 1024 - total))
      client.publish(subject, payload)
      sent.update(payload)
      total += payload.length
      if (total % 7 === 0) await client.flush()
    }
    await within(reader, 'all of it', 30000)
    assert.strictEqual(bytes, total)
    assert.strictEqual(seen.digest('hex'), sent.digest('hex'))
  })
}

test('CO-T04 compressed messages go both ways', async (t) => {
  const socket = new WebSocket(`ws://127.0.0.1:${server.websocket}`, { perMessageDeflate: { threshold: 0 } })
  t.after(() => socket.terminate())
  const lines = []
  socket.on('message', (data) => lines.push(data.toString()))
  await within(new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject)), 'open')
  assert.match(socket.extensions, /permessage-deflate/)
  await until(() => lines.join('').startsWith('INFO '), 'INFO')
  const payload = 'abc'.repeat(50000)
  socket.send(`CONNECT {"verbose":false}\r\nSUB z 1\r\nPUB z ${payload.length}\r\n${payload}\r\nPING\r\n`)
  await until(() => lines.join('').endsWith('PONG\r\n'), 'the echo')
  assert.ok(lines.join('').includes(`MSG z 1 ${payload.length}\r\n${payload}\r\nPONG\r\n`))
  assert.ok(socket._socket.bytesRead < payload.length / 10, `${socket._socket.bytesRead} bytes were received`)
})

test('CO-T04 /connz shows a websocket', async (t) => {
  await connect(t, core, { name: 'shown' })
  const found = (await server.page('/connz')).connections.find((one) => one.name === 'shown')
  assert.strictEqual(found.type, 'websocket')
  assert.strictEqual(found.ip, '127.0.0.1')
})

function upgrade (to, fields = {}, method = 'GET', page = '/') {
  return within(new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1',
      port: to.websocket,
      method,
      path: page,
      agent: false,
      headers: { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13', ...fields }
    })
    request.on('upgrade', (response, socket) => { socket.destroy(); resolve(response) })
    request.on('response', (response) => { response.resume(); resolve(response) })
    request.on('error', reject)
    request.end()
  }), 'an answer')
}

test('CO-T04 the opening handshake is answered as the RFC shows', async () => {
  const response = await upgrade(server)
  assert.strictEqual(response.statusCode, 101)
  assert.strictEqual(response.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  assert.strictEqual((await upgrade(server, { 'Sec-WebSocket-Version': '12' })).statusCode, 400)
  assert.strictEqual((await upgrade(server, { Upgrade: 'other' })).statusCode, 400)
  assert.strictEqual((await upgrade(server, { 'Sec-WebSocket-Key': '' })).statusCode, 400)
  assert.strictEqual((await upgrade(server, {}, 'POST')).statusCode, 405)
})

test('CO-T04 pages of other origins are refused', async () => {
  assert.strictEqual((await upgrade(strict)).statusCode, 101)
  assert.strictEqual((await upgrade(strict, { Origin: 'https://example.org' })).statusCode, 101)
  assert.strictEqual((await upgrade(strict, { Origin: 'https://example.org:444' })).statusCode, 403)
  assert.strictEqual((await upgrade(strict, { Origin: 'http://example.org' })).statusCode, 403)
  assert.strictEqual((await upgrade(strict, { Origin: 'https://evil.example' })).statusCode, 403)
})

test('CO-T04 broken frames and silence end a connection', async (t) => {
  const socket = net.connect(strict.websocket, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n')
  let got = Buffer.alloc(0)
  socket.on('data', (data) => { got = Buffer.concat([got, data]) })
  await until(() => got.includes('INFO '), 'INFO')
  socket.write(Buffer.from([0x82, 0x04, 1, 2, 3, 4])) // not masked
  await within(new Promise((resolve) => socket.on('close', resolve)), 'the end')
  if (isPeer) return // it waits
  const silent = net.connect(strict.websocket, '127.0.0.1')
  t.after(() => silent.destroy())
  silent.write('GET / HTTP/1.1\r\n')
  silent.resume()
  await within(new Promise((resolve) => silent.on('close', resolve)), 'the end of who says nothing', 8000)
})

const PAGE = `<!DOCTYPE html><script type="module">
import { connect, StringCodec } from '/nats.js'
const report = (result) => fetch('/result', { method: 'POST', body: JSON.stringify(result) })
try {
  const codec = StringCodec()
  const client = await connect({ servers: 'ws://127.0.0.1:' + location.search.slice(1), name: 'chromium' })
  client.subscribe('browser.ask', { callback: (error, message) => { if (!error) message.respond(codec.encode('re: ' + codec.decode(message.data))) } })
  const seen = []
  const sub = client.subscribe('browser.many', { max: 1000 })
  const done = (async () => { for await (const message of sub) seen.push(codec.decode(message.data)) })()
  for (let i = 0; i < 1000; i++) client.publish('browser.many', codec.encode('message ' + i + ' ' + 'x'.repeat(i)))
  await done
  const answer = codec.decode((await client.request('browser.ask', codec.encode('from a page'), { timeout: 5000 })).data)
  const ordered = seen.length === 1000 && seen.every((one, i) => one === 'message ' + i + ' ' + 'x'.repeat(i))
  await client.drain()
  await report({ answer, ordered })
} catch (error) { await report({ error: String(error) }) }
</script>`

test('CO-T04 a page in real Chromium is a client', { alone: true }, async (t) => {
  let resolve
  const result = new Promise((_resolve) => { resolve = _resolve })
  const site = http.createServer((request, response) => {
    if (request.url === '/nats.js') {
      response.setHeader('Content-Type', 'text/javascript')
      fs.createReadStream(require.resolve('nats.ws').replace(/cjs.*$/, 'esm/nats.js')).pipe(response)
    } else if (request.method === 'POST') {
      let body = ''
      request.on('data', (data) => { body += data })
      request.on('end', () => { response.end(); resolve(JSON.parse(body)) })
    } else {
      response.setHeader('Content-Type', 'text/html')
      response.end(PAGE)
    }
  })
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve))
  const profile = fs.mkdtempSync(path.join(directory, 'profile-'))
  const chromium = spawn('chromium', ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', `--user-data-dir=${profile}`, `http://127.0.0.1:${site.address().port}/?${server.websocket}`],
  { stdio: 'ignore' })
  t.after(async () => {
    chromium.kill('SIGTERM')
    await new Promise((resolve) => chromium.once('exit', resolve))
    site.closeAllConnections()
    site.close()
  })
  const failed = new Promise((resolve, reject) => chromium.once('error', reject))
  assert.deepStrictEqual(await within(Promise.race([result, failed]), 'the page reports', 35000), { answer: 're: from a page', ordered: true })
})

run({
  before: async () => {
    server = await start('compression: true')
    strict = await start('allowed_origins: ["https://example.org"]')
  },
  after: async () => {
    await server.stop()
    await strict.stop()
    fs.rmSync(directory, { recursive: true, force: true })
  }
})
