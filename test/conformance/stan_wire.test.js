// SPDX-License-Identifier: Apache-2.0
// NATS Streaming request by request: the fields of every message, every error text, undecodable and unknown bytes. How
// subscriptions behave is in stan_engine.test.js, what a whole client sees in stan.test.js.
'use strict'

const assert = require('assert')
const nats = require('nats')
const { test, run } = require('./lib/tap')
const { Server } = require('./lib/server')
const { StanClient, message, pb, START, CLUSTER, DISCOVER } = require('./lib/stan')
const { unique } = require('./lib/wait')

let server

async function connect (t, fields) {
  const client = await StanClient.connect(server, fields)
  t.after(() => client.leave())
  return client
}

async function open (t) {
  const client = await StanClient.open(server)
  t.after(() => client.leave())
  return client
}

const GARBAGE = [Buffer.from([0xff, 0xff, 0xff]), Buffer.from([0x0a, 0x7f, 0x41]), Buffer.from([0x0a]), Buffer.from([0x0b, 0x0c])]
// Fields 99 (a number), 50 (bytes), 200 (eight bytes), 201 (four bytes), which no message has.
const UNKNOWN_FIELDS = Buffer.from([0x98, 0x06, 0x01, 0x92, 0x03, 0x03, 0x61, 0x62, 0x63, 0xc1, 0x0c, 1, 2, 3, 4, 5, 6, 7, 8, 0xcd, 0x0c, 1, 2, 3, 4])
const withUnknown = (type, fields) => Buffer.concat([UNKNOWN_FIELDS, message(type, fields), UNKNOWN_FIELDS])

// --- protocol: who asks what on which subject ---

test('ST-P01 a connect request on the discovery subject is answered with all other subjects', async (t) => {
  const client = await connect(t)
  assert.strictEqual(client.response.getPubPrefix(), `_STAN.pub.${CLUSTER}`)
  assert.strictEqual(client.response.getSubRequests(), `_STAN.sub.${CLUSTER}`)
  assert.strictEqual(client.response.getUnsubRequests(), `_STAN.unsub.${CLUSTER}`)
  assert.strictEqual(client.response.getSubCloseRequests(), `_STAN.subclose.${CLUSTER}`)
  assert.strictEqual(client.response.getCloseRequests(), `_STAN.close.${CLUSTER}`)
  assert.strictEqual(client.response.getPingRequests(), `${DISCOVER}.pings`)
})

test('ST-P01 nobody answers for another cluster id', async (t) => {
  const client = await open(t)
  const request = message('ConnectRequest', { clientId: 'a', heartbeatInbox: 'b' })
  await assert.rejects(client.request('_STAN.discover.another', request), (error) => error.code === '503')
})

test('ST-P02 a publish is answered on its reply subject with its guid', async (t) => {
  const client = await connect(t)
  const channel = unique('publish')
  const ack = await client.publish(channel, 'x')
  assert.deepStrictEqual(ack, { guid: ack.sent, error: '', sent: ack.sent })
})

test('ST-P02 a repeated guid is answered with success and stored once', async (t) => {
  const client = await connect(t)
  const channel = unique('dedupe')
  const guid = unique('same')
  // In flight together, and after the first was stored.
  const acks = await Promise.all([1, 2, 3].map((i) => client.publish(channel, `first ${i}`, { guid })))
  acks.push(await client.publish(channel, 'again', { guid }))
  for (const ack of acks) assert.deepStrictEqual([ack.guid, ack.error], [guid, ''])
  await client.store(channel, 'end')
  const subscription = await client.subscribe(channel)
  assert.deepStrictEqual((await subscription.queue.take(2)).map((one) => [one.sequence, one.data]), [[1, 'first 1'], [2, 'end']])
})

test('ST-P02 the same guid of another client, or on another channel, is another message', async (t) => {
  const client = await connect(t)
  const other = await connect(t)
  const [one, two] = [unique('dedupe'), unique('dedupe')]
  const guid = unique('same')
  await client.publish(one, 'a', { guid })
  await other.publish(one, 'b', { guid })
  await client.publish(two, 'c', { guid })
  assert.deepStrictEqual(await (await client.subscribe(one)).data(2), ['a', 'b'])
  assert.deepStrictEqual(await (await client.subscribe(two)).data(1), ['c'])
})

test('ST-P02 the same client id connected anew still cannot store a guid twice', async (t) => {
  const client = await connect(t)
  const channel = unique('dedupe')
  const guid = unique('same')
  await client.publish(channel, 'a', { guid })
  await client.bye()
  const again = await connect(t, { clientId: client.id })
  assert.strictEqual((await again.publish(channel, 'b', { guid })).error, '')
  await again.store(channel, 'end')
  assert.deepStrictEqual(await (await again.subscribe(channel)).data(2), ['a', 'end'])
})

test('ST-P02 after the duplicate window a guid is new again', async (t) => {
  const short = await Server.start(['-duplicate_window', '300ms'])
  t.after(() => short.stop())
  const client = await StanClient.connect(short)
  t.after(() => client.leave())
  const guid = unique('same')
  const subscription = await client.subscribe('dedupe')
  const stored = []
  // Every publish is a success; the second copy appears once the window is over.
  for (const begin = performance.now(); stored.length < 2;) {
    assert.ok(performance.now() - begin < 10000, 'stored only once')
    assert.strictEqual((await client.publish('dedupe', '', { guid })).error, '')
    await client.nc.flush()
    stored.push(...subscription.queue.items.splice(0))
  }
  assert.ok(stored[1].timestamp - stored[0].timestamp > 290e6, 'not before the window is over')
})

test('ST-P02 a publish without a reply subject is stored, and nobody is answered', async (t) => {
  const client = await connect(t)
  const channel = unique('silent')
  const fields = { clientId: client.id, connId: client.connId, guid: unique('guid'), subject: channel, data: Buffer.from('x') }
  client.nc.publish(`${client.prefix}.${channel}`, message('PubMsg', fields))
  assert.deepStrictEqual(await (await client.subscribe(channel)).data(1), ['x'])
})

test('ST-P02 NATS headers on requests are passed over', async (t) => {
  const client = await connect(t)
  const channel = unique('headers')
  const headers = nats.headers()
  headers.set('Key', 'value')
  const fields = { clientId: client.id, connId: client.connId, guid: unique('guid'), subject: channel, data: Buffer.from('x') }
  const answer = await client.nc.request(`${client.prefix}.${channel}`, message('PubMsg', fields), { timeout: 15000, headers })
  assert.deepStrictEqual(pb.PubAck.deserializeBinary(answer.data).getError(), '')
  assert.deepStrictEqual(await (await client.subscribe(channel)).data(1), ['x'])
})

test('ST-P02 who listens to all subjects sees the requests pass, and disturbs nothing', async (t) => {
  const client = await connect(t)
  const channel = unique('seen')
  for (const pattern of ['>', '_STAN.pub.>', '_STAN.*.test-cluster.>', `_STAN.pub.${CLUSTER}.${channel}`]) {
    const spy = await open(t)
    const seen = []
    spy.nc.subscribe(pattern, { callback: (error, passing) => { if (!error) seen.push(passing.subject) } })
    await spy.nc.flush()
    await client.store(channel, pattern)
    await spy.nc.flush()
    assert.ok(seen.includes(`_STAN.pub.${CLUSTER}.${channel}`), pattern)
    await spy.leave()
  }
  const subscription = await client.subscribe(channel, { maxInFlight: 1 })
  const got = []
  for (let i = 0; i < 4; i++) {
    const one = await subscription.next()
    got.push(one.data)
    subscription.ack(one.sequence)
  }
  assert.strictEqual(got.length, new Set(got).size)
  await client.nc.flush()
  assert.strictEqual(subscription.queue.length, 0)
})

test('ST-P03 a subscription is answered with its ack inbox, then messages come', async (t) => {
  const client = await connect(t)
  const channel = unique('subscribe')
  await client.store(channel, 'x')
  const subscription = await client.subscribe(channel)
  assert.match(subscription.ackInbox, /^_INBOX\./)
  assert.deepStrictEqual(await subscription.data(1), ['x'])
})

test('ST-P04 unsubscribing ends delivery and forgets a durable', async (t) => {
  const client = await connect(t)
  const channel = unique('unsubscribe')
  await client.store(channel, 'a')
  const subscription = await client.subscribe(channel, { durableName: 'd' })
  await subscription.data(1)
  assert.strictEqual(await subscription.unsubscribe(), '')
  await client.store(channel, 'b')
  await client.nc.flush()
  assert.strictEqual(subscription.queue.length, 0)
  const again = await client.subscribe(channel, { durableName: 'd' })
  assert.deepStrictEqual((await again.queue.take(2)).map((one) => [one.data, one.redelivered]), [['a', false], ['b', false]])
})

test('ST-P05 closing a subscription ends delivery and keeps a durable', async (t) => {
  const client = await connect(t)
  const channel = unique('close')
  await client.store(channel, 'a')
  const subscription = await client.subscribe(channel, { durableName: 'd' })
  subscription.ack(...await subscription.sequences(1))
  assert.strictEqual(await subscription.close(), '')
  await client.store(channel, 'b')
  await client.nc.flush()
  assert.strictEqual(subscription.queue.length, 0)
  assert.deepStrictEqual(await (await client.subscribe(channel, { durableName: 'd' })).data(1), ['b'])
})

test('ST-P05 a client that never got the answer closes by its own inbox', async (t) => {
  const client = await connect(t)
  const channel = unique('close')
  const subscription = await client.subscribe(channel)
  assert.strictEqual(await subscription.close({ inbox: subscription.inbox }), '')
  await client.store(channel, 'x')
  await client.nc.flush()
  assert.strictEqual(subscription.queue.length, 0)
  assert.strictEqual(await subscription.close(), 'stan: invalid subscription')
})

test('ST-P06 an acknowledgement has no answer and makes room for the next message', async (t) => {
  const client = await connect(t)
  const channel = unique('ack')
  await client.store(channel, 'a', 'b')
  const subscription = await client.subscribe(channel, { maxInFlight: 1 })
  assert.deepStrictEqual(await subscription.sequences(1), [1])
  await client.nc.flush()
  assert.strictEqual(subscription.queue.length, 0)
  subscription.ack(1)
  assert.deepStrictEqual(await subscription.sequences(1), [2])
})

test('ST-P07 a client that says goodbye is gone: its id is free, its requests are refused', async (t) => {
  const client = await connect(t)
  const channel = unique('bye')
  const subscription = await client.subscribe(channel)
  assert.strictEqual(await client.bye(), '')
  assert.strictEqual((await client.publish(channel, 'x')).error, 'stan: invalid publish request')
  assert.strictEqual((await client.trySubscribe(channel)).error, 'stan: unknown clientID')
  assert.strictEqual(await client.bye(), 'stan: unknown clientID')
  const again = await connect(t, { clientId: client.id })
  await again.store(channel, 'y')
  await client.nc.flush()
  assert.strictEqual(subscription.queue.length, 0)
})

test('ST-P08 a ping by connection id is answered with nothing in it', async (t) => {
  const client = await connect(t)
  assert.deepStrictEqual(await client.ping(), { size: 0, error: '' })
})

test('ST-P08 a ping of a replaced or unknown client says so', async (t) => {
  const client = await connect(t)
  const gone = 'client has been replaced or is no longer registered' // ST-E19
  assert.strictEqual((await client.ping(Buffer.from('nobody'))).error, gone)
  await client.bye()
  const again = await connect(t, { clientId: client.id })
  assert.strictEqual((await client.ping()).error, gone)
  assert.strictEqual((await again.ping()).error, '')
})

test('ST-P09 the server sends heartbeats: nothing in them, with a reply subject', async (t) => {
  const lively = await Server.start(['-hbi', '100ms'])
  t.after(() => lively.stop())
  const client = await StanClient.connect(lively)
  t.after(() => client.leave())
  for (const heartbeat of await client.heartbeats.take(5)) {
    assert.strictEqual(heartbeat.size, 0)
    assert.ok(heartbeat.reply.length > 0)
  }
})

test('ST-P10 a message comes without a NATS reply subject', async (t) => {
  const client = await connect(t)
  const channel = unique('delivery')
  await client.store(channel, 'x')
  assert.strictEqual((await (await client.subscribe(channel)).next()).natsReply || '', '')
})

test('ST-P11 a second connect is refused when the first client answers', { alone: true }, async (t) => {
  const first = await connect(t)
  const second = await open(t)
  assert.strictEqual((await second.register({ clientId: first.id })).error, 'stan: clientID already registered')
  assert.strictEqual((await first.ping()).error, '')
  assert.strictEqual((await first.publish(unique('still'), 'x')).error, '')
})

test('ST-P11 when the first client does not answer, it is replaced after 500 ms', { alone: true }, async (t) => {
  const first = await connect(t, { heartbeats: false })
  const channel = unique('probe')
  const subscription = await first.subscribe(channel)
  const second = await open(t)
  const begin = performance.now()
  assert.strictEqual((await second.register({ clientId: first.id })).error, '')
  assert.ok(performance.now() - begin > 490)
  assert.strictEqual(first.heartbeats.length, 1)
  assert.strictEqual((await first.ping()).error, 'client has been replaced or is no longer registered')
  assert.strictEqual((await first.publish(channel, 'x')).error, 'stan: invalid publish request')
  await second.store(channel, 'y')
  await first.nc.flush()
  assert.strictEqual(subscription.queue.length, 0)
})

test('ST-P11 when the first client\'s connection is gone, it is replaced at once', async (t) => {
  const first = await StanClient.connect(server)
  await first.leave()
  const second = await open(t)
  let result = await second.register({ clientId: first.id })
  if (result.error) result = await second.register({ clientId: first.id }) // the server had not seen the end yet
  assert.strictEqual(result.error, '')
})

test('ST-P11 two that connect with one id at the same time: one of them wins', { alone: true }, async (t) => {
  const id = unique('race')
  const clients = [await open(t), await open(t), await open(t)]
  const errors = (await Promise.all(clients.map((client) => client.register({ clientId: id })))).map(({ error }) => error)
  assert.deepStrictEqual(errors.sort(), ['', 'stan: clientID already registered', 'stan: clientID already registered'])
})

test('ST-P11 while one newcomer waits for the old client, another is refused at once', { alone: true }, async (t) => {
  const old = await connect(t, { heartbeats: false })
  const [first, second] = [await open(t), await open(t)]
  const order = []
  const register = async (client) => { const { error } = await client.register({ clientId: old.id }); order.push(error) }
  await Promise.all([register(first), register(second)])
  assert.deepStrictEqual(order, ['stan: clientID already registered', ''])
  assert.strictEqual(old.heartbeats.length, 1)
})

test('ST-P11 the newcomer that waits gets the id when the old client closes meanwhile', { alone: true }, async (t) => {
  const old = await connect(t, { heartbeats: false })
  const newcomer = await open(t)
  const waiting = newcomer.register({ clientId: old.id })
  await old.heartbeats.take(1)
  await old.bye()
  assert.strictEqual((await waiting).error, '')
  assert.strictEqual((await newcomer.publish(unique('mine'), 'x')).error, '')
})

// --- messages: their fields ---

test('ST-M01 PubMsg with every field set, and with fields that nobody knows', async (t) => {
  const client = await connect(t)
  const channel = unique('fields')
  const fields = {
    clientId: client.id, guid: unique('guid'), subject: channel, reply: 'where.to', data: Buffer.from('data'), connId: client.connId, sha256: Buffer.alloc(32, 7)
  }
  const ack = pb.PubAck.deserializeBinary(await client.request(`${client.prefix}.${channel}`, withUnknown('PubMsg', fields)))
  assert.deepStrictEqual([ack.getGuid(), ack.getError()], [fields.guid, ''])
  const got = await (await client.subscribe(channel)).next()
  assert.deepStrictEqual([got.subject, got.reply, got.data], [channel, 'where.to', 'data'])
})

test('ST-M01 without a connection id the client id is enough; a wrong one is refused', async (t) => {
  const client = await connect(t)
  const channel = unique('conn')
  assert.strictEqual((await client.publish(channel, 'a', { connId: Buffer.alloc(0) })).error, '')
  assert.strictEqual((await client.publish(channel, 'b', { connId: Buffer.from('wrong') })).error, 'stan: invalid publish request')
})

test('ST-M01 a client of protocol 0 knows no connection ids and is served', async (t) => {
  const client = await connect(t, { protocol: 0, connId: Buffer.alloc(0), pingInterval: 0, pingMaxOut: 0 })
  const channel = unique('old')
  await client.store(channel, 'a')
  const subscription = await client.subscribe(channel)
  assert.deepStrictEqual(await subscription.data(1), ['a'])
  assert.strictEqual(await subscription.unsubscribe(), '')
  assert.strictEqual(await client.bye(), '')
})

test('ST-M02 PubAck: guid alone for success, with an error for a refusal', async (t) => {
  const client = await connect(t)
  const guid = unique('guid')
  const fields = { clientId: client.id, connId: client.connId, guid }
  const channel = unique('ack')
  const good = await client.request(`${client.prefix}.${channel}`, message('PubMsg', { ...fields, subject: channel }))
  assert.deepStrictEqual(Buffer.from(good), Buffer.concat([Buffer.from([0x0a, guid.length]), Buffer.from(guid)]))
  const bad = pb.PubAck.deserializeBinary(await client.request(`${client.prefix}.a`, message('PubMsg', { ...fields, subject: 'a..b' })))
  assert.deepStrictEqual([bad.getGuid(), bad.getError()], [guid, 'stan: invalid publish request'])
})

test('ST-M03 MsgProto: sequence, channel, data, the time of storing, not redelivered', async (t) => {
  const client = await connect(t)
  const channel = unique('proto')
  const before = Date.now()
  await client.store(channel, 'one')
  await client.store(channel, 'two')
  const after = Date.now()
  const [one, two] = await (await client.subscribe(channel)).queue.take(2)
  assert.deepStrictEqual([one.sequence, one.subject, one.data, one.reply, one.redelivered, one.count], [1, channel, 'one', '', false, 0])
  assert.deepStrictEqual([two.sequence, two.data], [2, 'two'])
  assert.ok(one.timestamp / 1e6 >= before - 1 && two.timestamp / 1e6 <= after + 1, 'nanoseconds of the wall clock')
  assert.ok(one.timestamp <= two.timestamp)
})

test('ST-M03 data arrives as it was sent, from nothing to almost max_payload', async (t) => {
  const client = await connect(t)
  const channel = unique('data')
  const sizes = [0, 1, 127, 128, 129, 4095, 4096, 16383, 16384, 65536, 300000, 1048000]
  const payloads = sizes.map((size) => Buffer.from(Array.from({ length: size }, (_, i) => (i * 131 + size) & 255)))
  for (const payload of payloads) assert.strictEqual((await client.publish(channel, payload)).error, '')
  const subscription = await client.subscribe(channel)
  for (const payload of payloads) assert.ok(payload.equals((await subscription.next()).bytes), `${payload.length} bytes`)
})

test('ST-M04 Ack with unknown fields is read; its subject does not matter to the inbox', async (t) => {
  const client = await connect(t)
  const channel = unique('ack')
  await client.store(channel, 'a', 'b')
  const subscription = await client.subscribe(channel, { maxInFlight: 1 })
  const { sequence } = await subscription.next()
  client.nc.publish(subscription.ackInbox, withUnknown('Ack', { subject: channel, sequence }))
  assert.deepStrictEqual(await subscription.sequences(1), [2])
})

test('ST-M05 ConnectRequest with unknown fields is read', async (t) => {
  const client = await open(t)
  const fields = { clientId: unique('client'), heartbeatInbox: 'hb', protocol: 1, connId: Buffer.from(unique('c')), pingInterval: 7, pingMaxOut: 9 }
  const response = pb.ConnectResponse.deserializeBinary(await client.request(DISCOVER, withUnknown('ConnectRequest', fields)))
  assert.strictEqual(response.getError(), '')
})

test('ST-M05 ConnectRequest without a heartbeat inbox is refused', async (t) => {
  const client = await open(t)
  const response = pb.ConnectResponse.deserializeBinary(await client.request(DISCOVER, message('ConnectRequest', { clientId: unique('client') })))
  assert.strictEqual(response.getError(), 'stan: invalid connection request')
})

test('ST-M06 ConnectResponse echoes the ping settings and names protocol 1', async (t) => {
  const client = await connect(t, { pingInterval: 7, pingMaxOut: 9 })
  assert.deepStrictEqual([client.response.getPingInterval(), client.response.getPingMaxOut(), client.response.getProtocol()], [7, 9, 1])
  assert.strictEqual(client.response.getError(), '')
})

test('ST-L03 the defaults of client libraries: pings 88 times 5 s, 1,024 in flight, 16,384 publishes without waiting', async (t) => {
  const client = await connect(t, { pingInterval: 5, pingMaxOut: 88 })
  assert.deepStrictEqual([client.response.getPingInterval(), client.response.getPingMaxOut()], [5, 88])
  const channel = unique('defaults')
  const count = 16384
  const acks = await Promise.all(Array.from({ length: count }, (_, i) => client.publish(channel, String(i))))
  assert.ok(acks.every((ack) => ack.error === '' && ack.guid === ack.sent))
  const subscription = await client.subscribe(channel, { maxInFlight: 1024, ackWaitInSecs: 30 })
  assert.deepStrictEqual(await subscription.data(1024), Array.from({ length: 1024 }, (_, i) => String(i)))
  await client.nc.flush()
  assert.strictEqual(subscription.queue.items.length, 0)
})

test('ST-M07 Ping with unknown fields is read, one without a connection id is not registered', async (t) => {
  const client = await connect(t)
  const bytes = await client.request(client.response.getPingRequests(), withUnknown('Ping', { connId: client.connId }))
  assert.strictEqual(bytes.length, 0)
  assert.strictEqual((await client.ping(Buffer.alloc(0))).error, 'client has been replaced or is no longer registered')
})

test('ST-M08 SubscriptionRequest with every field and with unknown ones', async (t) => {
  const client = await connect(t)
  const channel = unique('request')
  await client.store(channel, 'a', 'b', 'c')
  const subscription = await client.subscribe(channel, { qGroup: 'q', durableName: 'd', maxInFlight: 5, ackWaitInSecs: 9, startPosition: START.SEQUENCE, startSequence: 2, startTimeDelta: 5 })
  assert.deepStrictEqual(await subscription.sequences(2), [2, 3])
  const fields = { clientId: client.id, subject: channel, inbox: 'some.inbox', maxInFlight: 1, ackWaitInSecs: 1 }
  const response = pb.SubscriptionResponse.deserializeBinary(await client.request(client.response.getSubRequests(), withUnknown('SubscriptionRequest', fields)))
  assert.strictEqual(response.getError(), '')
})

test('ST-M08 an inbox that nobody could subscribe to is refused', async (t) => {
  const client = await connect(t)
  for (const inbox of ['', 'a..b', 'a.*', '>', 'a b', 'a\r\nPUB x 0\r\n\r\n']) {
    const { error } = await client.trySubscribe(unique('inbox'), { inbox })
    assert.strictEqual(error, 'stan: invalid subscription request', JSON.stringify(inbox))
  }
})

test('ST-M09 SubscriptionResponse: an ack inbox of its own for every subscription', async (t) => {
  const client = await connect(t)
  const channel = unique('inboxes')
  const inboxes = []
  for (let i = 0; i < 5; i++) inboxes.push((await client.subscribe(channel)).ackInbox)
  assert.strictEqual(new Set(inboxes).size, 5)
})

test('ST-M10 UnsubscribeRequest with unknown fields is read', async (t) => {
  const client = await connect(t)
  const channel = unique('request')
  const { ackInbox } = await client.subscribe(channel)
  const fields = { clientId: client.id, subject: channel, inbox: ackInbox, durableName: '' }
  const response = pb.SubscriptionResponse.deserializeBinary(await client.request(client.response.getUnsubRequests(), withUnknown('UnsubscribeRequest', fields)))
  assert.strictEqual(response.getError(), '')
})

test('ST-M11 CloseRequest with unknown fields is read; its answer has nothing in it', async (t) => {
  const client = await connect(t)
  const bytes = await client.request(client.response.getCloseRequests(), withUnknown('CloseRequest', { clientId: client.id }))
  assert.strictEqual(bytes.length, 0)
})

test('ST-M12 start positions have the numbers clients send', async (t) => {
  const client = await connect(t)
  const channel = unique('positions')
  await client.store(channel, 'a')
  await client.store(channel, 'b')
  await client.store(channel, 'c')
  const subscribe = (startPosition, fields) => client.subscribe(channel, { startPosition, ...fields })
  const subscriptions = [
    await subscribe(pb.StartPosition.NEW_ONLY), await subscribe(pb.StartPosition.LAST_RECEIVED),
    await subscribe(pb.StartPosition.TIME_DELTA_START, { startTimeDelta: 3600e9 }),
    await subscribe(pb.StartPosition.SEQUENCE_START, { startSequence: 2 }), await subscribe(pb.StartPosition.FIRST)]
  await client.store(channel, 'd')
  const wanted = ['d', 'cd', 'abcd', 'bcd', 'abcd']
  for (let i = 0; i < wanted.length; i++) {
    assert.strictEqual((await subscriptions[i].data(wanted[i].length)).join(''), wanted[i], `position ${i}`)
  }
})

// --- errors: their texts ---

const INVALID_CHANNELS = ['.a', 'a.', '.', 'a..b', '..', 'a/b', '/', 'a.*', '*', 'a.>', '>', 'a*b', 'a>b', '*.*']

test('ST-E01 invalid channels: \'stan: invalid subject\'', async (t) => {
  const client = await connect(t)
  for (const channel of ['', ...INVALID_CHANNELS]) {
    assert.strictEqual((await client.trySubscribe(channel)).error, 'stan: invalid subject', JSON.stringify(channel))
  }
})

test('ST-E01 channels that are not UTF-8, hold a NUL or are absurdly long are refused', async (t) => {
  const client = await connect(t)
  for (const name of [Buffer.from('a\0b'), Buffer.from([0x61, 0xff]), Buffer.from([0xc0, 0x80]), Buffer.alloc(5000, 0x61)]) {
    const length = name.length < 128 ? [name.length] : [0x80 | (name.length & 0x7f), name.length >> 7]
    const subject = Buffer.concat([Buffer.from([0x12, ...length]), name]) // field 2
    const rest = message('SubscriptionRequest', { clientId: client.id, inbox: 'x', maxInFlight: 1, ackWaitInSecs: 1 })
    const response = pb.SubscriptionResponse.deserializeBinary(await client.request(client.response.getSubRequests(), Buffer.concat([rest, subject])))
    assert.strictEqual(response.getError(), 'stan: invalid subject', name.toString('hex').slice(0, 20))
  }
})

test('ST-E01 unusual channels that are allowed', async (t) => {
  const client = await connect(t)
  for (const name of ['a.b.c', 'ünïcode', 'UPPER', 'upper', 'a-b_c', '$x', 'a:b']) {
    const channel = `${unique('fine')}.${name}`
    await client.store(channel, name)
    assert.deepStrictEqual(await (await client.subscribe(channel)).data(1), [name])
  }
})

test('ST-E02 an unknown start position: \'stan: invalid start position\'', async (t) => {
  const client = await connect(t)
  for (const startPosition of [5, 77, -1]) {
    assert.strictEqual((await client.trySubscribe(unique('start'), { startPosition })).error, 'stan: invalid start position')
  }
})

test('ST-E03 ending an unknown subscription: \'stan: invalid subscription\'', async (t) => {
  const client = await connect(t)
  const subscription = await client.subscribe(unique('known'))
  const text = 'stan: invalid subscription'
  assert.strictEqual(await subscription.unsubscribe({ inbox: 'unknown' }), text)
  assert.strictEqual(await subscription.close({ inbox: 'unknown' }), text)
  assert.strictEqual(await subscription.unsubscribe({ inbox: '' }), text)
  assert.strictEqual(await subscription.unsubscribe({ channel: unique('another') }), text)
  assert.strictEqual(await subscription.unsubscribe(), '')
  assert.strictEqual(await subscription.unsubscribe(), text)
  assert.strictEqual(await subscription.close(), text)
})

test('ST-E04 a client id in use: \'stan: clientID already registered\'', { alone: true }, async (t) => {
  const first = await connect(t)
  const second = await open(t)
  assert.strictEqual((await second.register({ clientId: first.id })).error, 'stan: clientID already registered')
})

test('ST-E05 no client id: \'stan: clientID missing\'', async (t) => {
  const client = await open(t)
  assert.strictEqual((await client.register({ clientId: '' })).error, 'stan: clientID missing')
  assert.strictEqual((await (await connect(t)).trySubscribe(unique('a'), { clientId: '' })).error, 'stan: clientID missing')
})

test('ST-E06 a client id with other characters is refused, saying which are allowed', async (t) => {
  for (const clientId of ['a b', 'a.b', 'ä', 'a/b', 'a*', '$a']) {
    const client = await open(t)
    assert.strictEqual((await client.register({ clientId })).error,
      'stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed', clientId)
  }
  await connect(t, { clientId: unique('Az09_-') })
})

test('ST-E07 an ack wait below a second: \'stan: invalid ack wait time, should be >= 1s\'', async (t) => {
  const client = await connect(t)
  for (const ackWaitInSecs of [0, -1, -2147483648]) {
    assert.strictEqual((await client.trySubscribe(unique('a'), { ackWaitInSecs })).error, 'stan: invalid ack wait time, should be >= 1s')
  }
})

test('ST-E08 nothing in flight allowed: \'stan: invalid MaxInflight, should be >= 1\'', async (t) => {
  const client = await connect(t)
  for (const maxInFlight of [0, -1]) {
    assert.strictEqual((await client.trySubscribe(unique('a'), { maxInFlight })).error, 'stan: invalid MaxInflight, should be >= 1')
  }
})

test('ST-E09 undecodable: \'stan: invalid connection request\'', async (t) => {
  const client = await open(t)
  for (const bytes of GARBAGE) {
    assert.strictEqual(pb.ConnectResponse.deserializeBinary(await client.request(DISCOVER, bytes)).getError(), 'stan: invalid connection request')
  }
})

test('ST-E10 undecodable, or not from a client: \'stan: invalid publish request\'', async (t) => {
  const client = await connect(t)
  const text = 'stan: invalid publish request'
  for (const bytes of GARBAGE) {
    assert.strictEqual(pb.PubAck.deserializeBinary(await client.request(`${client.prefix}.a`, bytes)).getError(), text)
  }
  assert.strictEqual((await client.publish(unique('a'), '', { guid: '' })).error, text)
  assert.strictEqual((await client.publish(unique('a'), '', { clientId: '' })).error, text)
  assert.strictEqual((await client.publish(unique('a'), '', { clientId: 'nobody', connId: Buffer.alloc(0) })).error, text)
  const long = pb.PubAck.deserializeBinary(await client.request(`${client.prefix}.a`, message('PubMsg', {
    clientId: client.id, guid: 'g'.repeat(300000), subject: 'a', connId: client.connId
  })))
  assert.strictEqual(long.getError(), text) // a PubAck carries the guid back, so its length has a limit
})

test('ST-E11 undecodable: \'stan: invalid subscription request\'', async (t) => {
  const client = await connect(t)
  for (const bytes of GARBAGE) {
    const response = pb.SubscriptionResponse.deserializeBinary(await client.request(client.response.getSubRequests(), bytes))
    assert.strictEqual(response.getError(), 'stan: invalid subscription request')
  }
})

test('ST-E12 undecodable: \'stan: invalid unsubscribe request\'', async (t) => {
  const client = await connect(t)
  for (const subject of [client.response.getUnsubRequests(), client.response.getSubCloseRequests()]) {
    for (const bytes of GARBAGE) {
      const response = pb.SubscriptionResponse.deserializeBinary(await client.request(subject, bytes))
      assert.strictEqual(response.getError(), 'stan: invalid unsubscribe request')
    }
  }
})

test('ST-E13 undecodable: \'stan: invalid close request\'', async (t) => {
  const client = await connect(t)
  for (const bytes of GARBAGE) {
    const response = pb.CloseResponse.deserializeBinary(await client.request(client.response.getCloseRequests(), bytes))
    assert.strictEqual(response.getError(), 'stan: invalid close request')
  }
})

test('ST-E14 a durable that is in use: \'stan: duplicate durable registration\'', async (t) => {
  const client = await connect(t)
  const channel = unique('durable')
  const first = await client.subscribe(channel, { durableName: 'd' })
  assert.strictEqual((await client.trySubscribe(channel, { durableName: 'd' })).error, 'stan: duplicate durable registration')
  // Another name, another client, another channel are others.
  await client.subscribe(channel, { durableName: 'e' })
  await (await connect(t)).subscribe(channel, { durableName: 'd' })
  await client.subscribe(unique('durable'), { durableName: 'd' })
  assert.strictEqual(await first.close(), '')
  await client.subscribe(channel, { durableName: 'd' })
})

test('ST-E15 a colon in the durable name of a queue group is refused', async (t) => {
  const client = await connect(t)
  assert.strictEqual((await client.trySubscribe(unique('a'), { durableName: 'd:e', qGroup: 'q' })).error,
    "stan: durable name of a durable queue subscriber can't contain the character ':'")
  await client.subscribe(unique('a'), { durableName: 'd:e' })
  await client.subscribe(unique('a'), { qGroup: 'q:r' })
})

test('ST-E16 requests of an unknown client: \'stan: unknown clientID\'', async (t) => {
  const client = await connect(t)
  assert.strictEqual((await client.trySubscribe(unique('a'), { clientId: 'nobody' })).error, 'stan: unknown clientID')
  assert.strictEqual(await client.bye('nobody'), 'stan: unknown clientID')
  const subscription = await client.subscribe(unique('a'))
  assert.strictEqual(await subscription.unsubscribe({ clientId: 'nobody' }), 'stan: unknown clientID')
  assert.strictEqual(await subscription.unsubscribe(), '')
})

test('ST-E20 limits are told: channels, subscriptions of a channel', async (t) => {
  const small = await Server.start(['-mc', '2', '-msu', '3'])
  t.after(() => small.stop())
  const client = await StanClient.connect(small)
  t.after(() => client.leave())
  await client.store('one', 'x')
  await client.store('two', 'x')
  assert.strictEqual((await client.publish('three', 'x')).error, 'too many channels')
  assert.strictEqual((await client.trySubscribe('three')).error, 'too many channels')
  const subscriptions = [await client.subscribe('one'), await client.subscribe('one', { qGroup: 'q' }), await client.subscribe('one', { durableName: 'd' })]
  assert.strictEqual((await client.trySubscribe('one')).error, 'too many subscriptions per channel')
  await client.subscribe('two')
  await subscriptions[0].close()
  await client.subscribe('one')
})

test('ST-E09 random bytes on every subject of the server: answered or ignored, and it goes on', async (t) => {
  const client = await connect(t)
  const subscription = await client.subscribe(unique('noise'))
  let state = 4711
  const random = () => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return state >>> 16 }
  const subjects = [DISCOVER, `${DISCOVER}.pings`, `${client.prefix}.a`, `_STAN.sub.${CLUSTER}`, `_STAN.unsub.${CLUSTER}`,
    `_STAN.subclose.${CLUSTER}`, `_STAN.close.${CLUSTER}`, subscription.ackInbox]
  for (let round = 0; round < 500; round++) {
    const bytes = Buffer.from(Array.from({ length: random() % 40 }, () => (random() % 3 ? [0x0a, 0x12, 0x1a, 0x08, 1, 2, 0x61][random() % 7] : random() & 255)))
    for (const subject of subjects) client.nc.publish(subject, bytes, { reply: 'nobody.cares' })
  }
  await client.nc.flush()
  assert.strictEqual((await client.ping()).error, '')
})

test('an inquiry says what a channel has, and makes neither channel nor subscription', async (t) => {
  const client = await connect(t)
  const channel = unique('inquiry')
  // Fields 100 to 102 are ours: node-nats-streaming does not know them.
  const inquire = async (name, fields = {}) => {
    const request = message('SubscriptionRequest', { clientId: client.id, subject: name, inbox: '_INBOX.none', maxInFlight: 1, ackWaitInSecs: 1, ...fields })
    return Buffer.from(await client.request(client.response.getSubRequests(), Buffer.concat([request, Buffer.from([0xa0, 6, 1])]))).toString('hex')
  }
  const inquired = 'a00601'
  assert.strictEqual(await inquire(channel), inquired + 'a80601')
  await client.store(channel, 'a', 'b', 'c')
  assert.strictEqual(await inquire(channel), inquired + 'a80601' + 'b00603')
  const error = (hex) => pb.SubscriptionResponse.deserializeBinary(Buffer.from(hex, 'hex')).getError()
  assert.strictEqual(error(await inquire('a..b')), 'stan: invalid subject')
  assert.strictEqual(error(await inquire(channel, { clientId: 'nobody' })), 'stan: unknown clientID')
  // A durable of that name is still to be had, and nothing comes to the inbox.
  const durable = await client.subscribe(channel, { durableName: 'd', inbox: '_INBOX.none' })
  assert.notStrictEqual(durable.ackInbox, '')
  assert.strictEqual(await inquire(channel, { durableName: 'd' }), inquired + 'a80601' + 'b00603')
})

run({
  before: async () => { server = await Server.start(['-mc', '0']) },
  after: () => server.stop()
})
