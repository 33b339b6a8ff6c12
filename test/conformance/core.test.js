// SPDX-License-Identifier: Apache-2.0
// Core NATS as the npm client `nats` sees it. What it hides (exact bytes, errors, bad input) is in errors.test.js and
// protocol.test.js.
'use strict'

const assert = require('assert')
const nats = require('nats')
const { test, run } = require('./lib/tap')
const { Server, isPeer } = require('./lib/server')
const { Queue, unique, until, within } = require('./lib/wait')

let server
const utf8 = new TextEncoder()
const text = (message) => new TextDecoder().decode(message.data)

/** A client that ends with its test. */
async function client (t, options = {}) {
  const nc = await nats.connect({ servers: server.url, reconnect: false, ...options })
  t.after(() => nc.close())
  return nc
}

/** A subscription whose messages wait in a queue; it is known to the server when this returns. */
async function subscribe (nc, subject, options = {}) {
  const queue = new Queue(`a message on ${subject}`)
  queue.nc = nc
  queue.sub = nc.subscribe(subject, { ...options, callback: (error, message) => queue.push(error || message) })
  await nc.flush()
  return queue
}

test('CO-P01 the client learns the server from INFO', async (t) => {
  const nc = await client(t)
  assert.strictEqual(nc.info.max_payload, 1048576)
  assert.strictEqual(nc.info.headers, true)
  assert.strictEqual(nc.info.port, server.port)
  assert.strictEqual(nc.info.client_ip, '127.0.0.1')
  assert.ok(nc.info.client_id > 0)
  const other = await client(t)
  assert.notStrictEqual(other.info.client_id, nc.info.client_id)
  assert.strictEqual(other.info.server_id, nc.info.server_id)
})

test('CO-P02 CONNECT options are accepted: name, user and password, verbose, pedantic', async (t) => {
  for (const options of [{ name: 'näme "x"' }, { user: 'a', pass: 'b' }, { token: 'secret' }, { verbose: true }, { pedantic: true }]) {
    const nc = await client(t, options)
    const subject = unique('connect')
    const queue = await subscribe(nc, subject)
    nc.publish(subject, 'works')
    assert.strictEqual(text(await queue.next()), 'works')
  }
})

test('CO-P03 payloads arrive as they were sent, from nothing to max_payload', async (t) => {
  const nc = await client(t)
  const receiver = await client(t)
  const subject = unique('sizes')
  const queue = await subscribe(receiver, subject)
  const sizes = [0, 1, 2, 255, 256, 4095, 4096, 4097, 65536, 1048575, 1048576]
  const payloads = sizes.map((size) => Buffer.from(Array.from({ length: size }, (_, i) => (i * 31 + size) & 255)))
  for (const payload of payloads) nc.publish(subject, payload)
  for (const payload of payloads) {
    const message = await queue.next()
    assert.ok(payload.equals(Buffer.from(message.data)), `${payload.length} bytes`)
  }
})

test('CO-P03 line ends and protocol words inside payloads are just bytes', async (t) => {
  const nc = await client(t)
  const subject = unique('bytes')
  const queue = await subscribe(nc, subject)
  const payloads = ['\r\n', '\r\nPUB x 1\r\ny\r\n', 'PING\r\n', '\0\0', 'MSG a 1 5\r\nhello\r\n', '-ERR \'x\'\r\n']
  for (const payload of payloads) nc.publish(subject, payload)
  assert.deepStrictEqual((await queue.take(payloads.length)).map(text), payloads)
})

test('CO-P03 one publisher\'s messages keep their order', async (t) => {
  const nc = await client(t)
  const receiver = await client(t)
  const subject = unique('order')
  const queue = await subscribe(receiver, subject)
  const count = 20000
  for (let i = 0; i < count; i++) nc.publish(subject, String(i))
  const got = (await queue.take(count)).map((message) => Number(text(message)))
  assert.ok(got.every((number, i) => number === i))
})

test('CO-P03 a reply subject arrives with the message', async (t) => {
  const nc = await client(t)
  const subject = unique('reply')
  const queue = await subscribe(nc, subject)
  nc.publish(subject, 'x', { reply: 'where.to' })
  nc.publish(subject, 'x')
  assert.strictEqual((await queue.next()).reply, 'where.to')
  assert.ok(!(await queue.next()).reply)
})

test('CO-P04 headers arrive as they were sent', async (t) => {
  const nc = await client(t)
  const receiver = await client(t)
  const subject = unique('headers')
  const queue = await subscribe(receiver, subject)
  const headers = nats.headers()
  headers.append('Key', 'one')
  headers.append('Key', 'two')
  headers.append('other-Key', 'with : colon, and späces')
  nc.publish(subject, 'body', { headers })
  nc.publish(subject, '', { headers })
  nc.publish(subject, 'plain')
  for (const body of ['body', '']) {
    const message = await queue.next()
    assert.strictEqual(text(message), body)
    assert.deepStrictEqual(message.headers.values('Key'), ['one', 'two'])
    assert.strictEqual(message.headers.get('other-Key'), 'with : colon, and späces')
  }
  assert.strictEqual((await queue.next()).headers, undefined)
})

test('CO-P05 several subscriptions of one connection each get the message', async (t) => {
  const nc = await client(t)
  const subject = unique('several')
  const queues = [await subscribe(nc, subject), await subscribe(nc, subject), await subscribe(nc, subject)]
  nc.publish(subject, 'x')
  for (const queue of queues) assert.strictEqual(text(await queue.next()), 'x')
})

test('CO-P05 after unsubscribing nothing arrives', async (t) => {
  const nc = await client(t)
  const other = await client(t)
  const subject = unique('unsub')
  const queue = await subscribe(nc, subject)
  const witness = await subscribe(nc, subject)
  queue.sub.unsubscribe()
  await nc.flush()
  other.publish(subject, 'x')
  await witness.next()
  await nc.flush()
  assert.strictEqual(queue.length, 0)
})

test('CO-P06 a message carries the subject it was published on, not the pattern', async (t) => {
  const nc = await client(t)
  const prefix = unique('subject')
  const queue = await subscribe(nc, `${prefix}.>`)
  nc.publish(`${prefix}.a.b`, '')
  assert.strictEqual((await queue.next()).subject, `${prefix}.a.b`)
})

test('CO-P07 PING is answered', async (t) => {
  const nc = await client(t)
  assert.ok(await nc.rtt() >= 0)
  await Promise.all(Array.from({ length: 100 }, () => nc.flush()))
})

const WILDCARDS = [
  // pattern, what it matches, what it does not match
  ['*', ['a', 'bc'], ['a.b', 'a.b.c']],
  ['>', ['a', 'a.b', 'a.b.c'], []],
  ['a.*', ['a.b', 'a.*x'], ['a', 'b.a', 'a.b.c']],
  ['*.b', ['a.b', 'c.b'], ['b', 'a.c', 'a.a.b']],
  ['a.*.c', ['a.b.c', 'a.c.c'], ['a.c', 'a.b.d', 'a.b.b.c']],
  ['a.>', ['a.b', 'a.b.c'], ['a', 'b.c', 'ab.c']],
  ['*.*', ['a.b'], ['a', 'a.b.c']],
  ['*.>', ['a.b', 'a.b.c'], ['a']],
  ['a.*.>', ['a.b.c', 'a.b.c.d'], ['a', 'a.b']],
  ['a.b*', ['a.b*'], ['a.bc', 'a.b']],
  ['a.>b', ['a.>b'], ['a.b', 'a.cb']]
]

test('CO-P08 wildcards match whole words, > the rest', async (t) => {
  const nc = await client(t)
  for (const [pattern, matching, others] of WILDCARDS) {
    const prefix = unique('wild')
    const queue = await subscribe(nc, `${prefix}.${pattern}`)
    for (const subject of [...others, ...matching]) nc.publish(`${prefix}.${subject}`, '')
    await nc.flush()
    const got = queue.items.map((message) => message.subject.slice(prefix.length + 1))
    assert.deepStrictEqual(got, matching, pattern)
  }
})

test('CO-P08 overlapping subscriptions each get a message once', async (t) => {
  const nc = await client(t)
  const prefix = unique('overlap')
  const patterns = ['a.b', 'a.*', '*.b', '*.*', '>', 'a.>', 'a.b']
  const queues = []
  for (const pattern of patterns) queues.push(await subscribe(nc, `${prefix}.${pattern}`))
  nc.publish(`${prefix}.a.b`, '')
  await nc.flush()
  assert.deepStrictEqual(queues.map((queue) => queue.length), patterns.map(() => 1))
})

test('CO-P08 matching stays right while subscriptions come and go', async (t) => {
  const nc = await client(t)
  const prefix = unique('churn')
  const stay = await subscribe(nc, `${prefix}.*.x`)
  for (let round = 0; round < 200; round++) {
    const patterns = [`${prefix}.${round % 7}.x`, `${prefix}.>`, `${prefix}.*.*`, `${prefix}.${round % 7}.*`]
    const queues = patterns.map((pattern) => {
      const queue = new Queue()
      queue.sub = nc.subscribe(pattern, { callback: (error, message) => queue.push(error || message) })
      return queue
    })
    nc.publish(`${prefix}.${round % 7}.x`, String(round))
    for (const queue of queues) queue.sub.unsubscribe()
    await nc.flush()
    nc.publish(`${prefix}.${round % 7}.x`, String(round))
    await nc.flush()
    assert.deepStrictEqual((await stay.take(2)).map(text), [String(round), String(round)])
    assert.strictEqual(stay.length, 0)
  }
})

test('CO-P09 a message goes to one member of a queue group', async (t) => {
  const nc = await client(t)
  const subject = unique('group')
  const members = []
  for (let i = 0; i < 5; i++) members.push(await subscribe(await client(t), subject, { queue: 'workers' }))
  const count = 2000
  for (let i = 0; i < count; i++) nc.publish(subject, String(i))
  await until(() => members.reduce((sum, member) => sum + member.length, 0) >= count, 'all have arrived')
  await nc.flush()
  const got = members.flatMap((member) => member.items.map((message) => Number(text(message))))
  assert.strictEqual(new Set(got).size, count)
  assert.strictEqual(got.length, count)
  // Each of five members gets 400 on average; less than 200 has a probability of 1e-30.
  for (const member of members) assert.ok(member.length > 200, `a member got only ${member.length}`)
})

test('CO-P09 each group and each plain subscription gets the message', async (t) => {
  const nc = await client(t)
  const subject = unique('groups')
  const plain = [await subscribe(nc, subject), await subscribe(nc, subject)]
  const groups = []
  for (const queue of ['one', 'two']) groups.push([await subscribe(nc, subject, { queue }), await subscribe(nc, subject, { queue })])
  const count = 100
  for (let i = 0; i < count; i++) nc.publish(subject, '')
  await nc.flush()
  for (const queue of plain) assert.strictEqual(queue.length, count)
  for (const members of groups) assert.strictEqual(members[0].length + members[1].length, count)
})

test('CO-P09 groups of the same name on a wildcard and a literal are different subscriptions', async (t) => {
  const nc = await client(t)
  const prefix = unique('wildgroup')
  const wild = await subscribe(nc, `${prefix}.*`, { queue: 'q' })
  const literal = await subscribe(nc, `${prefix}.a`, { queue: 'q' })
  for (let i = 0; i < 100; i++) nc.publish(`${prefix}.a`, '')
  await nc.flush()
  assert.ok(wild.length + literal.length >= 100)
  assert.ok(wild.length <= 100 && literal.length <= 100)
})

test('CO-P09 when a member goes the others get everything', async (t) => {
  const nc = await client(t)
  const subject = unique('leave')
  const goes = await client(t)
  const stay = await subscribe(await client(t), subject, { queue: 'q' })
  await subscribe(goes, subject, { queue: 'q' })
  await goes.close()
  // The server learns of it in its own time; from then on no message is missing.
  await until(async () => {
    stay.items = []
    for (let i = 0; i < 20; i++) nc.publish(subject, '')
    await nc.flush()
    await stay.nc.flush()
    return stay.length === 20
  }, 'the member that stays gets everything')
})

test('CO-P10 a request that nobody serves fails at once', async (t) => {
  const nc = await client(t)
  for (const noMux of [false, true]) {
    await assert.rejects(nc.request(unique('nobody'), '', { timeout: 10000, noMux }), (error) => {
      assert.strictEqual(error.code, nats.ErrorCode.NoResponders)
      return true
    })
  }
})

test('CO-P10 a published message without a reply subject bothers nobody', async (t) => {
  const nc = await client(t)
  const queue = await subscribe(nc, unique('silent'))
  nc.publish(unique('nobody'), 'x')
  await nc.flush()
  assert.strictEqual(queue.length, 0)
})

test('CO-P11 a subscription with max ends after so many messages', async (t) => {
  const nc = await client(t)
  const other = await client(t)
  const subject = unique('max')
  const queue = await subscribe(nc, subject, { max: 3 })
  const witness = await subscribe(nc, subject)
  for (let i = 0; i < 10; i++) other.publish(subject, String(i))
  await witness.take(10)
  await nc.flush()
  assert.deepStrictEqual(queue.items.map(text), ['0', '1', '2'])
})

test('CO-P11 a max below what was received already ends at once', async (t) => {
  const nc = await client(t)
  const subject = unique('late')
  const queue = await subscribe(nc, subject)
  const witness = await subscribe(nc, subject)
  for (let i = 0; i < 5; i++) nc.publish(subject, '')
  await witness.take(5)
  queue.sub.unsubscribe(3)
  await nc.flush()
  nc.publish(subject, '')
  await witness.next()
  await nc.flush()
  assert.strictEqual(queue.length, 5)
})

test('CO-P12 with noEcho a connection does not hear itself', async (t) => {
  const nc = await client(t, { noEcho: true })
  const other = await client(t)
  const subject = unique('echo')
  const own = await subscribe(nc, subject)
  const grouped = await subscribe(nc, subject, { queue: 'q' })
  const others = await subscribe(other, subject)
  nc.publish(subject, 'from me')
  await others.next()
  await nc.flush()
  assert.strictEqual(own.length + grouped.length, 0)
  other.publish(subject, 'from other')
  assert.strictEqual(text(await own.next()), 'from other')
  assert.strictEqual(text(await grouped.next()), 'from other')
})

test('CO-P13 a verbose and pedantic client works as any other', async (t) => {
  const nc = await client(t, { verbose: true, pedantic: true })
  const subject = unique('verbose')
  const queue = await subscribe(nc, subject, { max: 2 })
  for (let i = 0; i < 3; i++) nc.publish(subject, String(i))
  await nc.flush()
  assert.deepStrictEqual((await queue.take(2)).map(text), ['0', '1'])
})

test('CO-P14 the client knows the limit of payloads, and reads a violation as such', async (t) => {
  const nc = await client(t)
  assert.throws(() => nc.publish(unique('big'), new Uint8Array(1048577)), (error) => error.code === nats.ErrorCode.MaxPayloadExceeded)
  if (isPeer) return // nats-server has no such flag
  const small = await Server.start(['-max_payload', '1K'])
  t.after(() => small.stop())
  const other = await nats.connect({ servers: small.url, reconnect: false })
  assert.strictEqual(other.info.max_payload, 1024)
  other.info.max_payload = 4096 // convinced of another limit it sends, and hears from the server
  other.publish(unique('big'), new Uint8Array(1025))
  const error = await within(other.closed(), 'the connection closes')
  assert.match(String(error && error.message), /MAXIMUM PAYLOAD VIOLATION/i)
})

test('CO-P19 requests through the client\'s one inbox find their answers', async (t) => {
  const server = await client(t)
  const nc = await client(t)
  const subject = unique('square')
  server.subscribe(subject, { callback: (error, message) => { if (!error) message.respond(String(Number(text(message)) ** 2)) } })
  await server.flush()
  const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => nc.request(subject, String(i), { timeout: 15000 })))
  assert.ok(answers.every((answer, i) => Number(text(answer)) === i * i))
})

test('CO-P19 requests with an inbox each find their answers', async (t) => {
  const server = await client(t)
  const nc = await client(t)
  const subject = unique('echo')
  server.subscribe(subject, { callback: (error, message) => { if (!error) message.respond(message.data) } })
  await server.flush()
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => nc.request(subject, String(i), { timeout: 15000, noMux: true })))
  assert.deepStrictEqual(answers.map(text), answers.map((_, i) => String(i)))
})

test('CO-P19 requestMany gets the answers of all responders', async (t) => {
  const nc = await client(t)
  const subject = unique('many')
  for (let i = 0; i < 3; i++) nc.subscribe(subject, { callback: (error, message) => { if (!error) message.respond(utf8.encode(String(i))) } })
  await nc.flush()
  const answers = []
  for await (const answer of await nc.requestMany(subject, '', { strategy: nats.RequestStrategy.Count, maxMessages: 3, maxWait: 15000 })) answers.push(text(answer))
  assert.deepStrictEqual(answers.sort(), ['0', '1', '2'])
})

test('CO-P19 work queues over request and reply: one member answers', async (t) => {
  const nc = await client(t)
  const subject = unique('workers')
  let served = 0
  for (let i = 0; i < 3; i++) {
    const worker = await client(t)
    worker.subscribe(subject, { queue: 'q', callback: (error, message) => { if (!error) { served++; message.respond(message.data) } } })
    await worker.flush()
  }
  await Promise.all(Array.from({ length: 60 }, () => nc.request(subject, 'x', { timeout: 15000 })))
  assert.strictEqual(served, 60)
})

test('CO-P05 drain: what was sent before arrives, nothing after', async (t) => {
  const nc = await client(t)
  const publisher = await client(t)
  const subject = unique('drain')
  const queue = await subscribe(nc, subject)
  for (let i = 0; i < 1000; i++) publisher.publish(subject, String(i))
  await publisher.flush()
  await nc.drain()
  publisher.publish(subject, 'late')
  await publisher.flush()
  assert.strictEqual(queue.length, 1000)
})

test('CO-P19 a client finds back to a restarted server', async (t) => {
  const own = await Server.start()
  t.after(() => own.stop())
  const nc = await nats.connect({ servers: own.url, reconnectTimeWait: 50, maxReconnectAttempts: -1 })
  t.after(() => nc.close())
  const queue = await subscribe(nc, 'back')
  const statuses = nc.status()
  await own.restart()
  await within((async () => { for await (const status of statuses) if (status.type === 'reconnect') return })(), 'a reconnect')
  nc.publish('back', 'again')
  assert.strictEqual(text(await queue.next()), 'again')
})

run({
  before: async () => { server = await Server.start() },
  after: () => server.stop()
})
