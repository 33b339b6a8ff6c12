// SPDX-License-Identifier: Apache-2.0
// NATS Streaming through an external NATS server (-ns): clients connect to Debian's nats-server, and so does Weir (ST-C06 … C08).
'use strict'

const assert = require('assert')
const fs = require('fs')
const net = require('net')
const path = require('path')
const { spawn } = require('child_process')
const { headers: natsHeaders } = require('nats')
const { test, run } = require('./lib/tap')
const { Server, program } = require('./lib/server')
const { StanClient, message } = require('./lib/stan')
const { connect, publish, subscribe } = require('./lib/stan_client')
const { Certificates } = require('./lib/certificates')
const { event, unique, until, within } = require('./lib/wait')
const { createUser } = require('nkeys.js')

const PEER = '/usr/sbin/nats-server'
const SERVED = /NATS Streaming is served to its clients/g

async function nats (t, flags = [], options = {}) {
  const server = await Server.start(flags, { program: PEER, ...options })
  t.after(() => server.stop())
  return server
}

/** Weir behind the servers; `wait`: until it serves there. */
async function weir (t, url, flags = [], { wait = true, ...options } = {}) {
  const server = await Server.start(['-ns', url, ...flags], options)
  t.after(() => server.stop())
  if (wait) await server.logged(SERVED)
  return server
}

/** How often it has begun to serve since it was started. */
const times = (server) => (server.log.match(SERVED) || []).length

async function pair (t, flags = []) {
  const peer = await nats(t)
  return { peer, server: await weir(t, peer.url, flags, { http: true }) }
}

test('ST-C06 clients of an external server publish, subscribe, share a queue group and keep durables', async (t) => {
  const { peer, server } = await pair(t)
  const client = await connect(t, peer)
  const plain = await subscribe(client, 'jobs', { all: true })
  const group = [await subscribe(client, 'jobs', { group: 'g' }), await subscribe(client, 'jobs', { group: 'g' })]
  const durable = await subscribe(client, 'jobs', { durable: 'd', manual: true, ackWait: 1000 })
  const names = Array.from({ length: 20 }, (_, i) => `n${i}`)
  await Promise.all(names.map((name) => publish(client, 'jobs', name)))
  assert.deepStrictEqual((await plain.queue.take(20)).map((one) => one.sequence), names.map((_, i) => i + 1))
  await until(() => group[0].queue.length + group[1].queue.length === 20, 'the group has everything')
  const kept = await durable.queue.take(20)
  for (const one of kept.slice(0, 19)) one.ack()
  const again = await durable.queue.next()
  assert.deepStrictEqual([again.sequence, again.redelivered], [20, true])
  again.ack()
  const { connections } = await server.page('/varz')
  assert.strictEqual(connections, 1)
})

test('ST-C06 nobody can connect to Weir itself, whose flag has a configuration key', async (t) => {
  const peer = await nats(t)
  const file = unique('/tmp/weir-uplink') + '.conf'
  fs.writeFileSync(file, `streaming { ns: "${peer.url}" }\n`)
  t.after(() => fs.unlinkSync(file))
  const server = await Server.start(['-c', file])
  t.after(() => server.stop())
  await server.logged(SERVED)
  assert.doesNotMatch(server.log, /Listening for client connections/)
  assert.strictEqual(await publish(await connect(t, peer), 'a', 'x') !== '', true)
})

test('ST-C06 an external server that is killed comes back, and nothing acknowledged is lost', async (t) => {
  const { peer, server } = await pair(t, ['-hbi', '1s', '-hbt', '5s', '-hbf', '3'])
  const client = await connect(t, peer, { ackTimeout: 2000 })
  const subscription = await subscribe(client, 'log', { durable: 'd', manual: true, ackWait: 1000, all: true })
  const seen = new Set()
  const drain = () => { for (const one of subscription.queue.items.splice(0)) { seen.add(one.data); one.ack() } }
  const acknowledged = []
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 20; i++) {
      await publish(client, 'log', `${round}.${i}`)
      acknowledged.push(`${round}.${i}`)
    }
    drain()
    const served = times(server)
    const back = event(client, 'reconnect')
    await peer.restart('SIGKILL')
    await back
    await until(() => times(server) > served, 'it serves again')
  }
  await publish(client, 'log', 'last')
  await until(() => { drain(); return acknowledged.every((one) => seen.has(one)) && seen.has('last') }, 'everything arrives')
})

test('ST-C06 Weir that is killed goes on where it was', async (t) => {
  const { peer, server } = await pair(t)
  const client = await connect(t, peer)
  const subscription = await subscribe(client, 'log', { durable: 'd', manual: true, ackWait: 1000, all: true })
  await Promise.all(Array.from({ length: 50 }, (_, i) => publish(client, 'log', `${i}`)))
  const first = await subscription.queue.take(50)
  for (const one of first.slice(0, 40)) one.ack()
  await publish(client, 'other', 'acknowledgements are in the log')
  await server.restart('SIGKILL')
  await server.logged(SERVED)
  await publish(client, 'log', 'after')
  const wanted = new Set([...Array.from({ length: 10 }, (_, i) => `${i + 40}`), 'after'])
  const surprises = []
  while (wanted.size > 0) {
    const one = await subscription.queue.next()
    one.ack()
    if (one.sequence <= 40) surprises.push(one.sequence)
    wanted.delete(one.data)
  }
  assert.deepStrictEqual(surprises, [])
})

test('ST-C06 a member of a queue group keeps what it holds while the external server is away', async (t) => {
  const { peer, server } = await pair(t, ['--disconnect_grace', '10ms'])
  const client = await connect(t, peer)
  const members = [await subscribe(client, 'jobs', { group: 'g', manual: true, ackWait: 60000, maxInFlight: 1 }),
    await subscribe(client, 'jobs', { group: 'g', manual: true, ackWait: 60000, maxInFlight: 1 })]
  await publish(client, 'jobs', 'a')
  await publish(client, 'jobs', 'b')
  const held = await Promise.all(members.map((member) => member.queue.next()))
  const back = event(client, 'reconnect')
  await peer.restart('SIGKILL')
  await back
  await until(() => times(server) === 2, 'it serves again')
  for (const one of held) one.ack()
  await publish(client, 'jobs', 'c')
  await until(() => members.some((member) => member.queue.length > 0), 'the next job')
  const got = members.flatMap((member) => member.queue.items)
  assert.deepStrictEqual(got.map((one) => [one.data, one.redelivered]), [['c', false]])
})

test('ST-C06 of two servers in the list one dies', async (t) => {
  const route = await Server.start([], { program: PEER }) // a free port for the cluster
  const port = route.port
  await route.stop()
  const a = await nats(t, ['--cluster_name', 'c', '--cluster', `nats://127.0.0.1:${port}`])
  const b = await nats(t, ['--cluster_name', 'c', '--cluster', 'nats://127.0.0.1:-1', '--routes', `nats://127.0.0.1:${port}`])
  const server = await weir(t, `${a.url}, ${b.url}`)
  let client // when the other server has heard who subscribes at the first
  await until(async () => { client = await connect(t, b, { connectTimeout: 1000 }).catch(() => null); return client }, 'the cluster carries requests', 30000)
  await publish(client, 'jobs', 'before')
  a.child.kill('SIGKILL')
  await until(() => times(server) === 2, 'it serves at the other')
  assert.match(server.log, new RegExp(`:${b.port}: connected`))
  await publish(client, 'jobs', 'after')
  const subscription = await subscribe(client, 'jobs', { all: true })
  const got = []
  while (!got.includes('after')) got.push((await subscription.queue.next()).data)
  assert.strictEqual(got[0], 'before')
})

test('ST-C06 a server that is not there yet is waited for', async (t) => {
  const holder = net.createServer().listen(0, '127.0.0.1')
  await event(holder, 'listening')
  const { port } = holder.address()
  await within(new Promise((resolve) => holder.close(resolve)), 'the port is free')
  const server = await weir(t, `nats://127.0.0.1:${port}`, [], { wait: false })
  await server.logged(/cannot connect: connection refused/i)
  const peer = await nats(t, [], { port })
  await server.logged(SERVED)
  assert.strictEqual((server.log.match(/cannot connect/g) || []).length, 1)
  await publish(await connect(t, peer), 'jobs', 'x')
})

test('ST-P01 a second server with the same cluster id does not start', async (t) => {
  const { peer } = await pair(t)
  const second = await Server.start(['-ns', peer.url])
  const { code } = await within(second.ended, 'it gives up')
  assert.strictEqual(code, 1)
  assert.match(second.log, /another server serves cluster id test-cluster/)
  fs.rmSync(second.directory, { recursive: true, force: true })
  const other = await weir(t, peer.url, ['-cid', 'another'])
  assert.strictEqual(times(other), 1)
})

test('ST-C07 user and password, in the URL or in the configuration; wrong ones are told, not shown', async (t) => {
  const peer = await nats(t, ['--user', 'ann', '--pass', 'hush-hush'])
  const refused = await weir(t, peer.url.replace('//', '//ann:wrong-word@'), [], { wait: false })
  await refused.logged(/it refuses us: Authorization Violation/)
  assert.doesNotMatch(refused.log, /wrong-word/)
  await weir(t, peer.url.replace('//', '//ann:hush-hush@'))
  const config = unique('/tmp/weir-uplink') + '.conf'
  fs.writeFileSync(config, `streaming { cluster_id: two, ns: "${peer.url}", username: ann, password: "hush-hush" }\n`)
  t.after(() => fs.unlinkSync(config))
  const second = await Server.start(['-sc', config])
  t.after(() => second.stop())
  await second.logged(SERVED)
  assert.doesNotMatch(second.log, /hush-hush/)
  const client = await connect(t, { url: peer.url.replace('//', '//ann:hush-hush@') }, { cluster: 'two' })
  await publish(client, 'jobs', 'x')
})

test('ST-C07 a token, an nkey, and an nkey that is another', async (t) => {
  const files = []
  const write = (text) => {
    const file = unique('/tmp/weir-uplink')
    fs.writeFileSync(file, text)
    files.push(file)
    return file
  }
  t.after(() => files.forEach((file) => fs.unlinkSync(file)))
  const tokens = await nats(t, ['--auth', 'a-token'])
  await weir(t, tokens.url, ['-c', write('streaming { token: "a-token", ns: "' + tokens.url + '" }')])
  const key = createUser()
  const peer = await nats(t, ['-c', write(`authorization { users: [ { nkey: ${key.getPublicKey()} } ] }`)])
  const configured = (seed) => ['-c', write(`streaming { nkey_seed_file: "${write(seed)}" }`)]
  await weir(t, peer.url, configured(`# a comment\n${Buffer.from(key.getSeed())}\n`))
  const stranger = Buffer.from(createUser().getSeed()).toString()
  const refused = await weir(t, peer.url, [...configured(stranger), '-cid', 'two'], { wait: false })
  await refused.logged(/it refuses us: Authorization Violation/)
  assert.ok(!refused.log.includes(stranger.trim()))
})

test('ST-C08 TLS, with a certificate when it is wanted; and what is wrong with it', async (t) => {
  const files = new Certificates()
  for (const name of ['ours', 'theirs']) files.authority(name)
  files.sign('server', 'ours', { names: 'DNS:localhost,IP:127.0.0.1' })
  files.sign('client', 'ours')
  const own = ['--tlscert', files.path('server.pem'), '--tlskey', files.path('server.key')]
  const peer = await nats(t, ['--tls', ...own])
  const trust = ['-tls_client_cacert', files.path('ours.pem')]
  const first = await weir(t, peer.url, trust)
  assert.match(first.log, /connected with TLS/)
  await weir(t, peer.url, ['-secure', '-cid', 'two'])
  const wrong = await weir(t, peer.url, ['-tls_client_cacert', files.path('theirs.pem'), '-cid', 'three'], { wait: false })
  await wrong.logged(/the TLS handshake failed: .*certificate/)
  const strict = await nats(t, ['--tlsverify', '--tlscacert', files.path('ours.pem'), ...own])
  const certificate = ['-tls_client_cert', files.path('client.pem'), '-tls_client_key', files.path('client.key')]
  await weir(t, strict.url, [...trust, ...certificate])
  const bare = await weir(t, strict.url, [...trust, '-cid', 'two'], { wait: false })
  await bare.logged(/does it want another certificate|the TLS handshake failed|connection lost/)
  const clear = await nats(t)
  const refused = await weir(t, clear.url.replace('nats:', 'tls:'), trust, { wait: false })
  await refused.logged(/TLS is asked for, and it has none/)
})

test('ST-C06 headers come through, and clients that are gone are found by their heartbeats', async (t) => {
  const { peer, server } = await pair(t, ['-hbi', '200ms', '-hbt', '1500ms', '-hbf', '2'])
  const client = await StanClient.connect(peer)
  t.after(() => client.leave())
  const subscription = await client.subscribe('jobs')
  const headers = natsHeaders()
  headers.set('Trace', '7')
  let seen
  client.nc.subscribe(subscription.inbox, { callback: (error, raw) => { seen = error || raw.headers } })
  const body = message('PubMsg', { clientId: client.id, connId: client.connId, guid: unique('guid'), subject: 'jobs', data: Buffer.from('x') })
  await client.nc.request(`${client.prefix}.jobs`, body, { headers, timeout: 15000 })
  await until(() => seen, 'the message')
  assert.strictEqual(seen.get('Trace'), '7')
  const silent = await StanClient.connect(peer, { heartbeats: false })
  t.after(() => silent.leave())
  await server.logged(new RegExp(`Client:${silent.id}\\] closed: 3 heartbeats unanswered`))
  assert.strictEqual((await client.ping()).error, '')
})

test('ST-C06 libnats, the C client, through an external server', async (t) => {
  const { peer } = await pair(t)
  const build = process.env.BUILD || path.dirname(program)
  const child = spawn(path.join(build, 'test/conformance/libnats-stan'), [peer.url], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (data) => { output += data })
  const code = await within(new Promise((resolve, reject) => { child.once('close', resolve); child.once('error', reject) }), 'libnats ends', 40000)
  assert.strictEqual(code, 0, output)
  assert.match(output, /^ok 1 /m)
})

run()
