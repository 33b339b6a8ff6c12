// SPDX-License-Identifier: Apache-2.0
// NATS Streaming as the unmodified npm client node-nats-streaming sees it: every row of the table that a client can see.
'use strict'

const assert = require('assert')
const stan = require('node-nats-streaming')
const { test, run } = require('./lib/tap')
const { Server } = require('./lib/server')
const { connect: connectTo, publish, subscribe, ended } = require('./lib/stan_client')
const { event, unique, until, within } = require('./lib/wait')

let server
const connect = (t, options, to = server) => connectTo(t, to, options)
const refusal = async (promise) => { try { await promise } catch (error) { return String(error.message || error) } throw new Error('not refused') }
const brief = (messages) => messages.map((one) => `${one.data}${'\''.repeat(one.count)}`)

test('ST-P01 the client connects', async (t) => {
  const client = await connect(t)
  assert.strictEqual(client.pubPrefix, '_STAN.pub.test-cluster')
})

test('ST-P01 with another cluster id it times out', async (t) => {
  const client = stan.connect('another', unique('client'), { url: server.url, connectTimeout: 200 })
  const error = await event(client, 'error')
  assert.match(String(error.message || error), /stan: connect request timeout/)
})

test('ST-P01 another cluster id can be served', async (t) => {
  const other = await Server.start(['-cid', 'prod_1'])
  t.after(() => other.stop())
  const client = await connect(t, { cluster: 'prod_1' }, other)
  await publish(client, 'a', 'x')
})

test('ST-P02 a publish calls back with its guid', async (t) => {
  const client = await connect(t)
  const guid = await publish(client, unique('publish'), 'x')
  assert.ok(guid.length > 10)
})

test('ST-P02 thousands in flight are all acknowledged and stored once, in order', async (t) => {
  const client = await connect(t)
  const channel = unique('many')
  const count = 5000
  await Promise.all(Array.from({ length: count }, (_, i) => publish(client, channel, String(i))))
  const subscription = await subscribe(client, channel, { all: true })
  const got = await subscription.queue.take(count)
  assert.ok(got.every((one, i) => one.sequence === i + 1 && one.data === String(i)))
})

test('ST-P03 a subscription gets what is published', async (t) => {
  const client = await connect(t)
  const channel = unique('subscribe')
  const subscription = await subscribe(client, channel)
  await publish(client, channel, 'hello')
  const got = await subscription.queue.next()
  assert.deepStrictEqual([got.data, got.sequence, got.subject, got.redelivered], ['hello', 1, channel, false])
})

test('ST-P04 unsubscribe deletes a durable', async (t) => {
  const client = await connect(t)
  const channel = unique('unsubscribe')
  await publish(client, channel, 'a')
  const first = await subscribe(client, channel, { durable: 'd', all: true })
  await first.queue.next()
  await ended(first, 'unsubscribe')
  const second = await subscribe(client, channel, { durable: 'd', all: true })
  assert.deepStrictEqual(brief(await second.queue.take(1)), ['a'])
})

test('ST-P05 close keeps a durable', async (t) => {
  const client = await connect(t)
  const channel = unique('close')
  await publish(client, channel, 'a')
  const first = await subscribe(client, channel, { durable: 'd', all: true })
  await first.queue.next()
  await ended(first, 'close')
  await publish(client, channel, 'b')
  const second = await subscribe(client, channel, { durable: 'd', all: true })
  assert.deepStrictEqual(brief(await second.queue.take(1)), ['b'])
})

test('ST-P06 a message that is acknowledged by hand comes once, one that is not comes again', async (t) => {
  const client = await connect(t)
  const channel = unique('ack')
  const subscription = await subscribe(client, channel, { manual: true, ackWait: 1000 })
  await publish(client, channel, 'a')
  await publish(client, channel, 'b')
  const [a] = await subscription.queue.take(2)
  a.ack()
  await publish(client, unique('other'), 'a round trip')
  subscription.queue.items = [] // on a slow machine a has come again before
  const again = await subscription.queue.take(2)
  assert.ok(again.every((one) => one.data === 'b' && one.redelivered))
})

test('ST-P07 close ends the client, its id is free at once', async (t) => {
  const id = unique('client')
  for (let i = 0; i < 5; i++) {
    const client = await connect(t, { id })
    client.close()
    assert.ok(!await event(client, 'close'))
  }
})

test('ST-P08 pings keep a client connected; a client that was replaced learns it by them', async (t) => {
  const first = await connect(t, { stanPingInterval: 1000 })
  const lost = event(first, 'connection_lost')
  // Make the first deaf to the probe, so that the second replaces it.
  first.nc.unsubscribe(first.hbSubscription)
  let pings = 0
  const publishOnce = first.nc.publish
  first.nc.publish = function (subject, ...rest) { if (subject === first.pingRequests) pings++; return publishOnce.call(this, subject, ...rest) }
  await until(() => pings >= 2 && first.pingOut === 0, 'two pings are answered')
  await connect(t, { id: first.clientID })
  assert.match(String(await lost), /client has been replaced or is no longer registered/)
})

test('ST-P09 heartbeats are answered by the client, which stays connected', async (t) => {
  const strict = await Server.start(['-hbi', '50ms', '-hbt', '3s', '-hbf', '4'])
  t.after(() => strict.stop())
  const client = await connect(t, {}, strict)
  let heartbeats = 0
  const publishOnce = client.nc.publish
  client.nc.publish = function (subject, ...rest) { if (/\.hb\./.test(subject)) heartbeats++; return publishOnce.call(this, subject, ...rest) }
  await until(() => heartbeats > 10, 'ten heartbeats')
  await publish(client, 'still', 'here')
})

test('ST-P10 messages come to every subscription of a client', async (t) => {
  const client = await connect(t)
  const channel = unique('delivery')
  const subscriptions = [await subscribe(client, channel), await subscribe(client, channel)]
  await publish(client, channel, 'x')
  for (const subscription of subscriptions) assert.strictEqual((await subscription.queue.next()).data, 'x')
})

test('ST-P11 a second client with the same id is refused while the first lives', { alone: true }, async (t) => {
  const first = await connect(t)
  assert.strictEqual(await refusal(connect(t, { id: first.clientID })), 'stan: clientID already registered')
  await publish(first, unique('still'), 'x')
})

test('ST-P11 a second client with the same id replaces one that died', async (t) => {
  const first = await connect(t, { reconnect: false })
  const gone = event(first, 'close')
  first.nc.stream.destroy()
  await gone
  const second = await connect(t, { id: first.clientID })
  await publish(second, unique('new'), 'x')
})

test('ST-M03 ST-B22 binary data arrives as it was sent', async (t) => {
  const client = await connect(t, { stanEncoding: 'binary' })
  const channel = unique('binary')
  const subscription = await subscribe(client, channel, { all: true })
  const sizes = [0, 1, 255, 4096, 65535, 1000000]
  const payloads = sizes.map((size) => Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + size) & 255)))
  for (const payload of payloads) await publish(client, channel, payload)
  for (const payload of payloads) {
    const { raw } = await subscription.queue.next()
    assert.ok(payload.equals(raw.getRawData()), `${payload.length} bytes`)
  }
})

test('ST-M03 a message has the time at which it was stored', async (t) => {
  const client = await connect(t)
  const channel = unique('time')
  const before = Date.now()
  await publish(client, channel, 'x')
  const after = Date.now()
  const { raw } = await (await subscribe(client, channel, { all: true })).queue.next()
  assert.ok(raw.getTimestamp() >= before - 1 && raw.getTimestamp() <= after + 1)
})

test('ST-M12 the client\'s start positions', async (t) => {
  const client = await connect(t)
  const channel = unique('start')
  for (const data of 'abc') await publish(client, channel, data)
  const positions = [
    ['d', (options) => options.setStartAt(stan.StartPosition.NEW_ONLY)],
    ['cd', (options) => options.setStartWithLastReceived()],
    ['bcd', (options) => options.setStartAtSequence(2)],
    ['abcd', (options) => options.setStartAtTimeDelta(3600000)],
    ['abcd', (options) => options.setDeliverAllAvailable()]]
  const subscriptions = []
  for (const [, adjust] of positions) subscriptions.push(await subscribe(client, channel, { adjust }))
  await publish(client, channel, 'd')
  for (const [i, [wanted]] of positions.entries()) {
    assert.strictEqual((await subscriptions[i].queue.take(wanted.length)).map((one) => one.data).join(''), wanted)
  }
})

const REFUSED = [
  ['ST-E01 an invalid channel', { channel: 'a..b' }, 'stan: invalid subject'],
  ['ST-E02 an unknown start position', { adjust: (options) => options.setStartAt(9) }, 'stan: invalid start position'],
  ['ST-E07 an ack wait below a second', { ackWait: -1000 }, 'stan: invalid ack wait time, should be >= 1s'],
  ['ST-E08 nothing in flight', { maxInFlight: -1 }, 'stan: invalid MaxInflight, should be >= 1'],
  ['ST-E15 a colon in the durable name of a group', { durable: 'a:b', group: 'q' }, "stan: durable name of a durable queue subscriber can't contain the character ':'"],
  ['ST-B17 a wildcard', { channel: 'a.*' }, 'stan: invalid subject'],
  ['ST-B17 the rest of a subject', { channel: 'a.>' }, 'stan: invalid subject']
]
for (const [what, options, text] of REFUSED) {
  test(`${what} is refused`, async (t) => {
    const client = await connect(t)
    assert.strictEqual(await refusal(subscribe(client, options.channel || unique('refused'), options)), text)
  })
}

test('ST-E04 the client reads why it was refused', { alone: true }, async (t) => {
  const first = await connect(t)
  assert.strictEqual(await refusal(connect(t, { id: first.clientID })), 'stan: clientID already registered')
})

test('ST-E06 a client id with other characters is refused', async (t) => {
  assert.strictEqual(await refusal(connect(t, { id: 'a.b' })), 'stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed')
})

test('ST-E10 a publish to an invalid channel is refused', async (t) => {
  const client = await connect(t)
  // With an empty word in its subject, NATS delivers a message to nobody.
  for (const channel of ['a/b', 'a.*', 'a.>', 'a*b']) {
    assert.strictEqual(await refusal(publish(client, channel, 'x')), 'stan: invalid publish request', channel)
  }
})

test('ST-E14 a durable in use is refused', async (t) => {
  const client = await connect(t)
  const channel = unique('durable')
  await subscribe(client, channel, { durable: 'd' })
  assert.strictEqual(await refusal(subscribe(client, channel, { durable: 'd' })), 'stan: duplicate durable registration')
})

test('ST-B01 every channel counts for itself', async (t) => {
  const client = await connect(t)
  const channels = [unique('one'), unique('two')]
  for (let i = 0; i < 3; i++) for (const channel of channels) await publish(client, channel, String(i))
  for (const channel of channels) {
    const got = await (await subscribe(client, channel, { all: true })).queue.take(3)
    assert.deepStrictEqual(got.map((one) => [one.sequence, one.data]), [[1, '0'], [2, '1'], [3, '2']])
  }
})

test('ST-B02 redelivery after the ack wait, marked and counted', async (t) => {
  const client = await connect(t)
  const channel = unique('again')
  const subscription = await subscribe(client, channel, { manual: true, ackWait: 1000 })
  await publish(client, channel, 'x')
  const got = await subscription.queue.take(3)
  assert.deepStrictEqual(got.map((one) => [one.redelivered, one.count]), [[false, 0], [true, 1], [true, 2]])
})

test('ST-B03 MaxInflight limits what a client holds', async (t) => {
  const client = await connect(t)
  const channel = unique('inflight')
  for (let i = 0; i < 10; i++) await publish(client, channel, String(i))
  const subscription = await subscribe(client, channel, { manual: true, maxInFlight: 4, all: true })
  const held = await subscription.queue.take(4)
  await publish(client, unique('other'), 'a round trip')
  assert.strictEqual(subscription.queue.length, 0)
  for (const one of held) one.ack()
  assert.deepStrictEqual((await subscription.queue.take(4)).map((one) => one.data), ['4', '5', '6', '7'])
})

test('ST-B03 a reader that is slow for a while is not cut off: a backlog goes at its speed', async (t) => {
  const tight = await Server.start(['-max_pending', '2M'])
  t.after(() => tight.stop())
  const client = await connect(t, { stanEncoding: 'binary' }, tight)
  const payload = Buffer.alloc(100000, 'x')
  const count = 300
  for (let i = 0; i < count; i += 10) await Promise.all(Array.from({ length: 10 }, () => publish(client, 'backlog', payload)))
  const reader = await connect(t, { stanEncoding: 'binary', reconnect: false }, tight)
  let ended = false
  reader.once('close', () => { ended = true })
  const subscription = await subscribe(reader, 'backlog', { all: true, manual: true, maxInFlight: count, ackWait: 60000 })
  reader.nc.stream.pause()
  for (let i = 0; i < 20; i++) await publish(client, 'others', 'are served')
  reader.nc.stream.resume()
  const got = await subscription.queue.take(count)
  assert.deepStrictEqual(got.map((one) => one.sequence), got.map((_, i) => i + 1))
  assert.ok(got.every((one) => !one.redelivered && one.raw.getRawData().equals(payload)))
  assert.strictEqual(ended, false)
})

test('ST-B06 a durable goes on after its client was closed and came back', async (t) => {
  const id = unique('client')
  const channel = unique('durable')
  const first = await connect(t, { id })
  const subscription = await subscribe(first, channel, { durable: 'd', all: true })
  await publish(first, channel, 'a')
  await subscription.queue.next()
  await publish(first, unique('other'), 'a round trip') // after the client's acknowledgement
  first.close()
  await event(first, 'close')
  const publisher = await connect(t)
  await publish(publisher, channel, 'b')
  const second = await connect(t, { id })
  assert.deepStrictEqual(brief(await (await subscribe(second, channel, { durable: 'd', all: true })).queue.take(1)), ['b'])
})

test('ST-B07 a queue group shares the work', async (t) => {
  const publisher = await connect(t)
  const channel = unique('group')
  const members = []
  for (let i = 0; i < 4; i++) members.push(await subscribe(await connect(t), channel, { group: 'workers' }))
  const count = 400
  await Promise.all(Array.from({ length: count }, (_, i) => publish(publisher, channel, String(i))))
  await until(() => members.reduce((sum, member) => sum + member.queue.length, 0) >= count, 'all were delivered')
  const got = members.flatMap((member) => member.queue.items.map((one) => one.sequence)).sort((a, b) => a - b)
  assert.deepStrictEqual(got, Array.from({ length: count }, (_, i) => i + 1))
  for (const member of members) assert.ok(member.queue.length > 0)
})

test('ST-B08 a durable queue group keeps its place while nobody is there', async (t) => {
  const channel = unique('durable')
  const options = { group: 'q', durable: 'd', all: true }
  const first = await connect(t)
  const subscription = await subscribe(first, channel, options)
  await publish(first, channel, 'a')
  await subscription.queue.next()
  await publish(first, unique('other'), 'a round trip')
  first.close()
  await event(first, 'close')
  const second = await connect(t)
  await publish(second, channel, 'b')
  assert.deepStrictEqual(brief(await (await subscribe(second, channel, options)).queue.take(1)), ['b'])
})

test('ST-B09 an acknowledgement after the ack wait ends the redeliveries', async (t) => {
  const client = await connect(t)
  const channel = unique('late')
  const subscription = await subscribe(client, channel, { manual: true, ackWait: 1000 })
  await publish(client, channel, 'a')
  await publish(client, channel, 'b')
  const first = await subscription.queue.take(2)
  await subscription.queue.take(2) // both again
  first[0].ack()
  await publish(client, unique('other'), 'a round trip')
  subscription.queue.items = []
  assert.ok((await subscription.queue.take(2)).every((one) => one.data === 'b' && one.redelivered))
})

test('ST-B10 when a worker closes, its jobs go to the others at once', async (t) => {
  const [one, two] = [await connect(t), await connect(t)]
  const channel = unique('workers')
  const options = { group: 'q', manual: true, ackWait: 60000 }
  const first = await subscribe(one, channel, options)
  for (const data of 'abc') await publish(two, channel, data)
  await first.queue.take(3)
  const second = await subscribe(two, channel, options)
  one.close()
  assert.deepStrictEqual(brief(await second.queue.take(3)), ["a'", "b'", "c'"])
})

test('ST-B11 a durable that comes back first gets what it held, then what is new', async (t) => {
  const client = await connect(t)
  const channel = unique('resume')
  const options = { durable: 'd', manual: true, all: true, maxInFlight: 2 }
  for (const data of 'abcd') await publish(client, channel, data)
  const first = await subscribe(client, channel, options)
  await first.queue.take(2)
  await ended(first, 'close')
  const second = await subscribe(client, channel, options)
  const held = await second.queue.take(2)
  assert.deepStrictEqual(brief(held), ["a'", "b'"])
  for (const one of held) one.ack()
  assert.deepStrictEqual(brief(await second.queue.take(2)), ['c', 'd'])
})

test('ST-B13 a plain subscription begins anew', async (t) => {
  const client = await connect(t)
  const channel = unique('plain')
  await publish(client, channel, 'a')
  const first = await subscribe(client, channel, { manual: true, all: true })
  await first.queue.next()
  await ended(first, 'close')
  assert.deepStrictEqual(brief(await (await subscribe(client, channel, { all: true })).queue.take(1)), ['a'])
})

test('ST-B14 a client that stopped answering is closed, and learns it when it pings', async (t) => {
  const strict = await Server.start(['-hbi', '100ms', '-hbt', '200ms', '-hbf', '1'])
  t.after(() => strict.stop())
  const client = await connect(t, { stanPingInterval: 1000 }, strict)
  const lost = event(client, 'connection_lost')
  client.nc.unsubscribe(client.hbSubscription)
  assert.match(String(await lost), /client has been replaced or is no longer registered/)
})

test('ST-B19 acknowledgements of one channel call back in order', async (t) => {
  const client = await connect(t)
  const channel = unique('order')
  const order = []
  await Promise.all(Array.from({ length: 1000 }, async (_, i) => { await publish(client, channel, String(i)); order.push(i) }))
  assert.deepStrictEqual(order, Array.from({ length: 1000 }, (_, i) => i))
})

test('ST-B27 a client publishes to itself and to others', async (t) => {
  const [one, two] = [await connect(t), await connect(t)]
  const channel = unique('both')
  const subscriptions = [await subscribe(one, channel), await subscribe(one, channel, { durable: 'd' }), await subscribe(two, channel)]
  await Promise.all([publish(one, channel, 'x'), publish(two, channel, 'x')])
  for (const subscription of subscriptions) assert.deepStrictEqual((await subscription.queue.take(2)).map((one) => one.sequence), [1, 2])
})

test('ST-P03 a client over a NATS connection of its owner', async (t) => {
  const nats = require('node-nats-streaming/node_modules/nats')
  const nc = nats.connect({ url: server.url, encoding: 'binary' })
  await event(nc, 'connect')
  t.after(() => nc.close())
  const client = await within(connect(t, { nc }), 'a STAN connection')
  const channel = unique('owned')
  const subscription = await subscribe(client, channel)
  await publish(client, channel, 'x')
  await subscription.queue.next()
})

run({
  before: async () => { server = await Server.start(['-mc', '0']) },
  after: () => server.stop()
})
