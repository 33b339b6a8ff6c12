// SPDX-License-Identifier: Apache-2.0
// NATS Streaming as libweir sees it: the scenarios of ../conformance/stan.test.js, and what libweir has besides. node-nats-streaming is on the
// other side of some.
'use strict'

const assert = require('assert')
const { test, run } = require('../conformance/lib/tap')
const { Server } = require('../conformance/lib/server')
const node = require('../conformance/lib/stan_client')
const { event, unique, until } = require('../conformance/lib/wait')
const { Driver, START, RESULT } = require('./driver')

let server, driver
const connect = (t, options, to = server) => driver.connect(t, to, options)
const brief = (messages) => messages.map((one) => `${one.data}${'\''.repeat(one.count)}`)
async function refusal (promise, result = RESULT.REFUSED) {
  try { await promise } catch (error) {
    assert.strictEqual(error.result, result, error.message)
    return error.message
  }
  throw new Error('not refused')
}

test('ST-P01 the client connects', async (t) => {
  assert.ok((await connect(t)).id)
})

test('ST-P01 with another cluster id it is told at once', async (t) => {
  assert.match(await refusal(connect(t, { cluster: 'another' }), RESULT.NO_CLUSTER), /_STAN.discover.another/)
})

test('ST-P01 another cluster id can be served', async (t) => {
  const other = await Server.start(['-cid', 'prod_1'])
  t.after(() => other.stop())
  await (await connect(t, { cluster: 'prod_1' }, other)).publish('a', 'x')
})

test('where nobody listens it is told so', async (t) => {
  await refusal(driver.connect(t, { url: 'nats://127.0.0.1:1' }, {}), RESULT.UNREACHABLE)
})

test('what is no URL of a server is refused, and its password is not told', async (t) => {
  const none = ['http://127.0.0.1:1', 'nats://127.0.0.1:99999', 'nats://127.0.0.1:0', 'nats://127.0.0.1:4222x', 'nats://[::1]:x', ' ', '\t', ',', 'nats://127.0.0.1:1,']
  for (const url of none) assert.match(await refusal(driver.connect(t, { url }, {}), RESULT.INVALID), /^URL [12] of the list is none of a server: /)
  assert.doesNotMatch(await refusal(driver.connect(t, { url: 'nats://u:secret@127.0.0.1:0' }, {}), RESULT.INVALID), /secret/)
  for (const url of ['nats://127.0.0.1:1', 'TLS://127.0.0.1:1', '127.0.0.1:1', ' nats://[::1]:1 , nats://u:p@127.0.0.1:1/']) {
    await refusal(driver.connect(t, { url }, {}), RESULT.UNREACHABLE)
  }
})

test('with a wrong password it is told so', async (t) => {
  const own = await Server.start(['--user', 'u', '--pass', 'p'])
  t.after(() => own.stop())
  await refusal(connect(t, { user: 'u', password: 'x' }, own), RESULT.AUTHORIZATION)
  await (await connect(t, { user: 'u', password: 'p' }, own)).publish('a', 'x')
})

test('ST-P02 a publish returns when it is stored', async (t) => {
  const client = await connect(t)
  const channel = unique('publish')
  await client.publish(channel, 'x')
  assert.deepStrictEqual(brief(await (await client.subscribe(channel, { all: true })).queue.take(1)), ['x'])
})

test('ST-P02 thousands in flight are all acknowledged and stored once, in order', async (t) => {
  const client = await connect(t)
  const channel = unique('many')
  const count = 5000
  await client.publish(channel, '', { times: count })
  const got = await (await client.subscribe(channel, { all: true })).queue.take(count)
  assert.ok(got.every((one, i) => one.sequence === i + 1 && one.data === String(i)))
})

test('ST-L03 publishing waits while as many as allowed are not acknowledged', async (t) => {
  const client = await connect(t, { max_publishes_in_flight: 3 })
  await client.publish(unique('few'), '', { times: 200 })
})

test('a message id is stored once, however often it is published', async (t) => {
  const client = await connect(t)
  const channel = unique('once')
  await Promise.all([1, 2, 3].map(() => client.publish(channel, 'x', { message_id: 'one' })))
  await client.publish(channel, 'y', { message_id: 'two' })
  assert.deepStrictEqual(brief(await (await client.subscribe(channel, { all: true })).queue.take(2)), ['x', 'y'])
})

test('a message id with control characters is refused before anything is sent', async (t) => {
  const client = await connect(t)
  for (const id of ['a\r\nb', 'a\tb', '\x7f', '\x01']) {
    for (const options of [{}, { times: 2 }]) await refusal(client.publish(unique('id'), 'x', { message_id: id, ...options }), RESULT.INVALID)
  }
  await client.publish(unique('id'), 'x', { message_id: 'a b/ü' })
})

test('ST-M01 the reply subject is handed on', async (t) => {
  const client = await connect(t)
  const channel = unique('reply')
  await client.publish(channel, 'x', { reply: 'answers.here' })
  await client.publish(channel, 'y')
  const got = await (await client.subscribe(channel, { all: true })).queue.take(2)
  assert.deepStrictEqual(got.map((one) => one.reply), ['answers.here', undefined])
})

test('ST-P03 a subscription gets what is published', async (t) => {
  const client = await connect(t)
  const channel = unique('subscribe')
  const sub = await client.subscribe(channel)
  await client.publish(channel, 'hello')
  const got = await sub.queue.next()
  assert.deepStrictEqual([got.data, got.sequence, got.channel, got.redelivered], ['hello', 1, channel, false])
})

test('closing a client within the end of a publish ends the others, each once', async (t) => {
  const client = await connect(t)
  await refusal(client.publish(unique('close'), '', { times: 3000, close: true }), RESULT.CLOSED)
})

test('ST-P04 unsubscribe deletes a durable', async (t) => {
  const client = await connect(t)
  const channel = unique('unsubscribe')
  await client.publish(channel, 'a')
  const first = await client.subscribe(channel, { durable: 'd', all: true })
  await first.queue.next()
  await first.unsubscribe()
  assert.deepStrictEqual(brief(await (await client.subscribe(channel, { durable: 'd', all: true })).queue.take(1)), ['a'])
})

test('ST-P05 close keeps a durable', async (t) => {
  const client = await connect(t)
  const channel = unique('close')
  await client.publish(channel, 'a')
  const first = await client.subscribe(channel, { durable: 'd', all: true })
  await first.queue.next()
  await client.publish(unique('other'), 'a round trip')
  await first.close()
  await first.close() // does nothing
  await client.publish(channel, 'b')
  assert.deepStrictEqual(brief(await (await client.subscribe(channel, { durable: 'd', all: true })).queue.take(1)), ['b'])
})

test('ST-P06 a message that is acknowledged by hand comes once, one that is not comes again', async (t) => {
  const client = await connect(t)
  const channel = unique('ack')
  const sub = await client.subscribe(channel, { manual: true, ack_wait_ms: 1000 })
  await client.publish(channel, 'a')
  await client.publish(channel, 'b')
  const [a] = await sub.queue.take(2)
  await a.ack()
  await client.publish(unique('other'), 'a round trip')
  sub.queue.items = [] // on a slow machine a has come again before
  assert.ok((await sub.queue.take(2)).every((one) => one.data === 'b' && one.redelivered))
})

test('ST-P07 close ends the client, its id is free at once', async (t) => {
  const id = unique('client')
  for (let i = 0; i < 5; i++) {
    const client = await connect(t, { id })
    await client.close()
    await refusal(client.publish('a', 'x'), RESULT.CLOSED)
  }
})

test('ST-P08 ST-B14 a client that stopped answering is closed, and learns it by its pings', { alone: true }, async (t) => {
  const own = await Server.start(['-hbi', '100ms', '-hbt', '100ms', '-hbf', '1'])
  t.after(() => own.stop())
  const frozen = Driver.start()
  t.after(() => frozen.stop())
  const client = await frozen.connect(t, own, { ping_interval_ms: 1000 })
  const lost = event(client, 'lost')
  frozen.child.kill('SIGSTOP') // and the server gives it up
  const second = await driver.connect(t, own)
  await until(async () => { try { await (await connect(t, { id: client.id }, own)).close(); return true } catch { return false } }, 'the id is free')
  frozen.child.kill('SIGCONT')
  assert.match(String(await lost), /client has been replaced or is no longer registered/)
  await refusal(client.publish('a', 'x'), RESULT.LOST)
  await second.publish('a', 'x')
})

test('ST-P09 heartbeats are answered, pings too', async (t) => {
  const strict = await Server.start(['-hbi', '50ms', '-hbt', '3s', '-hbf', '4'])
  t.after(() => strict.stop())
  const client = await connect(t, { ping_interval_ms: 1000, ping_max_out: 2 }, strict)
  let lost = false
  client.once('lost', () => { lost = true })
  const began = performance.now()
  await until(() => performance.now() - began > 3500, 'more pings than may be unanswered')
  await client.publish('still', 'here')
  assert.strictEqual(lost, false)
})

test('ST-P10 messages come to every subscription of a client', async (t) => {
  const client = await connect(t)
  const channel = unique('delivery')
  const subs = [await client.subscribe(channel), await client.subscribe(channel)]
  await client.publish(channel, 'x')
  for (const sub of subs) assert.strictEqual((await sub.queue.next()).data, 'x')
})

test('ST-P11 ST-E04 a second client with the same id is refused while the first lives', async (t) => {
  const first = await connect(t)
  assert.strictEqual(await refusal(connect(t, { id: first.id })), 'stan: clientID already registered')
  await first.publish(unique('still'), 'x')
})

test('ST-P11 a second client with the same id replaces one that died', async (t) => {
  const dead = Driver.start()
  const first = await dead.connect({ after () {} }, server)
  dead.child.kill('SIGKILL')
  await dead.ended
  const second = await connect(t, { id: first.id })
  await second.publish(unique('new'), 'x')
})

test('ST-M03 binary data arrives as it was sent, from and to node-nats-streaming', async (t) => {
  const client = await connect(t)
  const other = await node.connect(t, server, { stanEncoding: 'binary' })
  const channel = unique('binary')
  const [ours, theirs] = [await client.subscribe(channel, { all: true }), await node.subscribe(other, channel, { all: true })]
  const sizes = [0, 1, 255, 4096, 65535, 1000000]
  const payload = (size) => Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + size) & 255))
  for (const size of sizes) await client.publish(channel, '', { size })
  for (const size of sizes) assert.ok(payload(size).equals((await theirs.queue.next()).raw.getRawData()), `${size} bytes`)
  for (const size of sizes) await node.publish(other, channel, payload(size))
  for (const size of [...sizes, ...sizes]) {
    const got = await ours.queue.next()
    assert.ok(payload(size).equals(got.hex === undefined ? Buffer.from(got.data) : Buffer.from(got.hex, 'hex')), `${size} bytes`)
  }
})

test('ST-M03 a message has the time at which it was stored', async (t) => {
  const client = await connect(t)
  const channel = unique('time')
  const before = Date.now()
  await client.publish(channel, 'x')
  const after = Date.now()
  const { time } = await (await client.subscribe(channel, { all: true })).queue.next()
  assert.ok(time / 1e6 >= before - 1 && time / 1e6 <= after + 1)
})

test('ST-M12 ST-B05 start positions', async (t) => {
  const client = await connect(t)
  const channel = unique('start')
  for (const data of 'abc') await client.publish(channel, data)
  const positions = [
    ['d', { start: START.NEW }],
    ['cd', { start: START.LAST }],
    ['bcd', { start: START.SEQUENCE, start_sequence: 2 }],
    ['abcd', { start: START.AGO, start_ago_ns: 3600e9 }],
    ['abcd', { start: START.FIRST }]]
  const subs = []
  for (const [, options] of positions) subs.push(await client.subscribe(channel, options))
  await client.publish(channel, 'd')
  for (const [i, [wanted]] of positions.entries()) {
    assert.strictEqual((await subs[i].queue.take(wanted.length)).map((one) => one.data).join(''), wanted)
  }
})

const REFUSED = [
  ['ST-E01 an invalid channel', { channel: 'a/b' }, 'stan: invalid subject'],
  ['ST-E02 an unknown start position', { start: 9 }, 'stan: invalid start position'],
  ['ST-E15 a colon in the durable name of a group', { durable: 'a:b', group: 'q' }, "stan: durable name of a durable queue subscriber can't contain the character ':'"]
]
for (const [what, { channel, ...options }, text] of REFUSED) {
  test(`${what} is refused`, async (t) => {
    const client = await connect(t)
    assert.strictEqual(await refusal(client.subscribe(channel || unique('refused'), options)), text)
  })
}

test('ST-E06 a client id with other characters is refused', async (t) => {
  assert.strictEqual(await refusal(connect(t, { id: 'a.b' })), 'stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed')
})

test('ST-E01 a subscription to a channel that is no part of a subject is refused before it is asked for', async (t) => {
  const client = await connect(t)
  for (const channel of ['', 'a..b', '.a', 'a.', 'a b', 'a\r\nPUB b 0\r\n', 'a\tb']) await refusal(client.subscribe(channel), RESULT.INVALID)
  await refusal(client.subscribe('x'.repeat(5000)), RESULT.TOO_BIG)
})

test('ST-B17 a channel has no wildcards: refused before anything is sent, to publishers and subscribers', async (t) => {
  const client = await connect(t)
  for (const channel of ['a.*', 'a.>', '*', '>', 'a*b', '*.a']) {
    const text = `channel "${channel}" has a wildcard: a channel is one, by its whole name`
    assert.strictEqual(await refusal(client.subscribe(channel), RESULT.INVALID), text)
    assert.strictEqual(await refusal(client.publish(channel, 'x'), RESULT.INVALID), text)
    assert.strictEqual(await refusal(client.publish(channel, '', { times: 3 }), RESULT.INVALID), text)
  }
})

test('ST-E10 a publish to an invalid channel is refused, by the server or before', async (t) => {
  const client = await connect(t)
  assert.strictEqual(await refusal(client.publish('a/b', 'x')), 'stan: invalid publish request')
  assert.strictEqual(await refusal(client.publish('a/b', '', { times: 3 })), 'stan: invalid publish request')
  for (const channel of ['', 'a..b', '.a', 'a.', 'a b', 'a\r\nPUB b 0\r\n', 'a\tb']) await refusal(client.publish(channel, 'x'), RESULT.INVALID)
})

test('what is too big is refused, and nothing else is harmed', async (t) => {
  const small = await Server.start(['--max_payload', '4K'])
  t.after(() => small.stop())
  const client = await connect(t, {}, small)
  await refusal(client.publish('a', '', { size: 5000 }), RESULT.TOO_BIG)
  await refusal(client.publish('a', 'x', { message_id: 'x'.repeat(256) }), RESULT.TOO_BIG)
  await client.publish('a', '', { size: 3000 })
})

test('ST-E14 a durable in use is refused', async (t) => {
  const client = await connect(t)
  const channel = unique('durable')
  await client.subscribe(channel, { durable: 'd' })
  assert.strictEqual(await refusal(client.subscribe(channel, { durable: 'd' })), 'stan: duplicate durable registration')
})

test('ST-B01 every channel counts for itself', async (t) => {
  const client = await connect(t)
  const channels = [unique('one'), unique('two')]
  for (let i = 0; i < 3; i++) for (const channel of channels) await client.publish(channel, String(i))
  for (const channel of channels) {
    const got = await (await client.subscribe(channel, { all: true })).queue.take(3)
    assert.deepStrictEqual(got.map((one) => [one.sequence, one.data]), [[1, '0'], [2, '1'], [3, '2']])
  }
})

test('ST-B02 redelivery after the ack wait, marked and counted', async (t) => {
  const client = await connect(t)
  const channel = unique('again')
  const sub = await client.subscribe(channel, { manual: true, ack_wait_ms: 1000 })
  await client.publish(channel, 'x')
  assert.deepStrictEqual((await sub.queue.take(3)).map((one) => [one.redelivered, one.count]), [[false, 0], [true, 1], [true, 2]])
})

test('ST-B03 MaxInflight limits what a client holds', async (t) => {
  const client = await connect(t)
  const channel = unique('inflight')
  await client.publish(channel, '', { times: 10 })
  const sub = await client.subscribe(channel, { manual: true, max_in_flight: 4, all: true })
  const held = await sub.queue.take(4)
  await client.publish(unique('other'), 'a round trip')
  assert.strictEqual(sub.queue.length, 0)
  assert.strictEqual((await sub.do('pending')).messages, 4)
  for (const one of held) await one.ack()
  assert.deepStrictEqual((await sub.queue.take(4)).map((one) => one.data), ['4', '5', '6', '7'])
})

test('ST-B03 a reader that is slow for a while is not cut off: a backlog goes at its speed', async (t) => {
  const tight = await Server.start(['-max_pending', '2M'])
  t.after(() => tight.stop())
  const client = await connect(t, {}, tight)
  const count = 60
  for (let i = 0; i < count; i++) await client.publish('backlog', '', { size: 100000 })
  const frozen = Driver.start()
  t.after(() => frozen.stop())
  const reader = await frozen.connect(t, tight)
  let ended = false
  reader.once('disconnected', () => { ended = true })
  const sub = await reader.subscribe('backlog', { all: true, manual: true, max_in_flight: count, ack_wait_ms: 60000 })
  await sub.queue.next()
  frozen.child.kill('SIGSTOP')
  for (let i = 0; i < 20; i++) await client.publish('others', 'are served')
  frozen.child.kill('SIGCONT')
  const got = await sub.queue.take(count - 1)
  assert.deepStrictEqual(got.map((one) => one.sequence), got.map((_, i) => i + 2))
  assert.ok(got.every((one) => !one.redelivered && one.hex.length === 200000))
  assert.strictEqual(ended, false)
})

test('ST-B06 a durable goes on after its client was closed and came back', async (t) => {
  const id = unique('client')
  const channel = unique('durable')
  const first = await connect(t, { id })
  const sub = await first.subscribe(channel, { durable: 'd', all: true })
  await first.publish(channel, 'a')
  await sub.queue.next()
  await first.publish(unique('other'), 'a round trip')
  await first.close()
  await (await connect(t)).publish(channel, 'b')
  const second = await connect(t, { id })
  assert.deepStrictEqual(brief(await (await second.subscribe(channel, { durable: 'd', all: true })).queue.take(1)), ['b'])
})

test('ST-B07 a queue group shares the work, with node-nats-streaming in it', async (t) => {
  const channel = unique('group')
  const count = 400
  const options = { group: 'workers', manual: true, max_in_flight: 100 }
  const members = []
  for (let i = 0; i < 2; i++) members.push(await (await connect(t)).subscribe(channel, options))
  for (let i = 0; i < 2; i++) members.push(await node.subscribe(await node.connect(t, server), channel, { group: 'workers', manual: true, maxInFlight: 100 }))
  const publisher = await connect(t)
  await publisher.publish(channel, '', { times: count })
  const got = (await Promise.all(members.map((member) => member.queue.take(100)))).flat().map((one) => one.sequence).sort((a, b) => a - b)
  assert.deepStrictEqual(got, Array.from({ length: count }, (_, i) => i + 1))
})

test('ST-B08 a durable queue group keeps its place while nobody is there', async (t) => {
  const channel = unique('durable')
  const options = { group: 'q', durable: 'd', all: true }
  const first = await connect(t)
  const sub = await first.subscribe(channel, options)
  await first.publish(channel, 'a')
  await sub.queue.next()
  await first.publish(unique('other'), 'a round trip')
  await first.close()
  const second = await connect(t)
  await second.publish(channel, 'b')
  assert.deepStrictEqual(brief(await (await second.subscribe(channel, options)).queue.take(1)), ['b'])
})

test('ST-B09 an acknowledgement after the ack wait ends the redeliveries', async (t) => {
  const client = await connect(t)
  const channel = unique('late')
  const sub = await client.subscribe(channel, { manual: true, ack_wait_ms: 1000 })
  await client.publish(channel, 'a')
  await client.publish(channel, 'b')
  const first = await sub.queue.take(2)
  await sub.queue.take(2) // both again
  await first.find((one) => one.data === 'a').ack()
  await client.publish(unique('other'), 'a round trip')
  sub.queue.items = []
  assert.ok((await sub.queue.take(2)).every((one) => one.data === 'b' && one.redelivered))
})

test('ST-B10 when a worker closes, its jobs go to the others at once', async (t) => {
  const [one, two] = [await connect(t), await connect(t)]
  const channel = unique('workers')
  const options = { group: 'q', manual: true, ack_wait_ms: 60000 }
  const first = await one.subscribe(channel, options)
  for (const data of 'abc') await two.publish(channel, data)
  const held = await first.queue.take(3)
  const second = await two.subscribe(channel, options)
  await one.close()
  assert.deepStrictEqual(brief(await second.queue.take(3)), ["a'", "b'", "c'"])
  for (const message of held) await refusal(message.ack(), RESULT.CLOSED)
})

test('ST-B11 a durable that comes back first gets what it held, then what is new', async (t) => {
  const client = await connect(t)
  const channel = unique('resume')
  const options = { durable: 'd', manual: true, all: true, max_in_flight: 2 }
  for (const data of 'abcd') await client.publish(channel, data)
  const first = await client.subscribe(channel, options)
  await first.queue.take(2)
  await first.close()
  const second = await client.subscribe(channel, options)
  const held = await second.queue.take(2)
  assert.deepStrictEqual(brief(held), ["a'", "b'"])
  for (const one of held) await one.ack()
  assert.deepStrictEqual(brief(await second.queue.take(2)), ['c', 'd'])
})

test('ST-B13 a plain subscription begins anew', async (t) => {
  const client = await connect(t)
  const channel = unique('plain')
  await client.publish(channel, 'a')
  const first = await client.subscribe(channel, { manual: true, all: true })
  await first.queue.next()
  await first.do('free')
  assert.deepStrictEqual(brief(await (await client.subscribe(channel, { all: true })).queue.take(1)), ['a'])
})

test('ST-B27 a client publishes to itself and to others', async (t) => {
  const [one, two] = [await connect(t), await connect(t)]
  const channel = unique('both')
  const subs = [await one.subscribe(channel), await one.subscribe(channel, { durable: 'd' }), await two.subscribe(channel)]
  await Promise.all([one.publish(channel, 'x'), two.publish(channel, 'x')])
  for (const sub of subs) assert.deepStrictEqual((await sub.queue.take(2)).map((message) => message.sequence), [1, 2])
})

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`ST-B29 a restart of the server (${signal}) is an event and nothing more: what is published meanwhile is stored once, in order`, async (t) => {
    const own = await Server.start()
    t.after(() => own.stop())
    const client = await connect(t, {}, own)
    const events = []
    for (const name of ['disconnected', 'reconnected', 'lost']) client.on(name, () => events.push(name))
    const sub = await client.subscribe('jobs', { group: 'q', durable: 'd', manual: true })
    await client.publish('jobs', 'before')
    const [held] = await sub.queue.take(1)
    const restarted = own.restart(signal)
    const many = client.publish('jobs', '', { times: 2000 })
    const single = client.publish('jobs', 'single')
    await restarted
    await Promise.all([many, single])
    await held.ack() // what was held stays held
    const got = []
    while (got.length < 2002 - 1) {
      const one = await sub.queue.next()
      if (one.sequence !== held.sequence) got.push(one)
      await one.ack()
    }
    const numbers = got.map((one) => one.data).filter((data) => data !== 'single').map(Number)
    const before = numbers.slice(1).filter((number, i) => number < numbers[i]).length // one may get ahead while the connection breaks
    assert.ok(before <= 1, `${before} places where an earlier one follows`)
    assert.deepStrictEqual(numbers.sort((a, b) => a - b), Array.from({ length: 2000 }, (_, i) => i))
    assert.strictEqual(new Set(got.map((one) => one.sequence)).size, got.length)
    await until(() => events.length >= 2, 'both events')
    assert.deepStrictEqual(events.slice(0, 2), ['disconnected', 'reconnected'])
    assert.ok(!events.includes('lost'))
  })
}

test('ST-B19 acknowledgements of one channel call back in order', async (t) => {
  const client = await connect(t)
  await client.publish(unique('order'), '', { times: 3000, in_order: true })
})

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`ST-B29 ST-P02 over a restart publishes and a plain subscription go on; each is stored once (${signal})`, async (t) => {
    const own = await Server.start(['--disconnect_grace', '30s'])
    t.after(() => own.stop())
    const client = await connect(t, {}, own)
    // What went out while it was killed, and did not arrive, comes again after that.
    const sub = await client.subscribe('log', { all: true, ack_wait_ms: 3000 })
    const [rounds, times] = [5, 2000]
    let broken = 0
    client.on('disconnected', () => { broken++ })
    const published = (async () => { for (let i = 0; i < rounds; i++) await client.publish('log', '', { times }) })()
    await sub.queue.next()
    own.child.kill(signal)
    await own.ended
    await own.launch()
    await published
    await client.publish('log', 'end')
    const seen = new Map([[1, '0']])
    while (seen.size < rounds * times + 1) {
      const { sequence, data } = await sub.queue.next()
      assert.strictEqual(seen.get(sequence) || data, data)
      seen.set(sequence, data)
    }
    assert.strictEqual(seen.get(rounds * times + 1), 'end')
    const counts = new Map()
    for (const data of seen.values()) counts.set(data, (counts.get(data) || 0) + 1)
    assert.ok(counts.size === times + 1 && [...counts].every(([data, count]) => count === (data === 'end' ? 1 : rounds)))
    assert.ok(broken > 0)
  })
}

test('what is said about messages while the server is away is said when it is back', async (t) => {
  const own = await Server.start(['--disconnect_grace', '30s'])
  t.after(() => own.stop())
  const client = await connect(t, {}, own)
  for (const data of 'abc') await client.publish('jobs', data)
  const sub = await client.subscribe('jobs', { manual: true, all: true, durable: 'd', ack_wait_ms: 4000 })
  const [a, b, c] = await sub.queue.take(3)
  const gone = event(client, 'disconnected')
  own.child.kill('SIGKILL')
  await own.ended
  await gone
  await a.ack()
  await b.ack()
  await c.say('nak')
  await own.launch()
  assert.deepStrictEqual(brief(await sub.queue.take(2)), ["c'", "c''"])
})

test('while the server is away a publish waits as long as it may, and says why it failed', async (t) => {
  const own = await Server.start()
  t.after(() => own.stop())
  const client = await connect(t, {}, own)
  const gone = event(client, 'disconnected')
  own.child.kill('SIGKILL')
  await own.ended
  await gone
  const began = performance.now()
  assert.match(await refusal(client.publish('a', 'x', { timeout_ms: 500 }), RESULT.TIMEOUT), /not connected/)
  await refusal(client.publish('a', '', { times: 2, timeout_ms: 500 }), RESULT.TIMEOUT)
  assert.ok(performance.now() - began > 990)
})

test('a server that says nothing is not waited for beyond the deadline, and gets each message once', async (t) => {
  const own = await Server.start()
  t.after(() => own.stop())
  const client = await connect(t, {}, own)
  own.child.kill('SIGSTOP')
  await refusal(client.publish('a', 'x', { message_id: 'first', timeout_ms: 300 }), RESULT.TIMEOUT)
  own.child.kill('SIGCONT')
  await client.publish('a', 'x', { message_id: 'first' })
  await client.publish('a', 'y')
  assert.deepStrictEqual((await (await client.subscribe('a', { all: true })).queue.take(2)).map((one) => one.data), ['x', 'y'])
})

test('what was given back comes again at once, counted or not, or after a delay', async (t) => {
  const client = await connect(t)
  const channel = unique('nak')
  await client.publish(channel, 'a')
  const sub = await client.subscribe(channel, { manual: true, all: true })
  await (await sub.queue.next()).say('nak')
  const second = await sub.queue.next()
  assert.deepStrictEqual(brief([second]), ["a'"])
  await second.say('nak', { uncounted: true })
  const third = await sub.queue.next()
  assert.deepStrictEqual(brief([third]), ["a'"])
  const began = performance.now()
  await third.say('nak', { delay_ms: 1000, uncounted: true })
  const fourth = await sub.queue.next()
  assert.deepStrictEqual(brief([fourth]), ["a'"])
  assert.ok(performance.now() - began > 980)
  assert.strictEqual((await sub.do('pending')).messages, 1)
})

test('what is extended does not come again, what is terminated neither', async (t) => {
  const client = await connect(t)
  const channel = unique('wpi')
  for (const data of 'abc') await client.publish(channel, data)
  const sub = await client.subscribe(channel, { manual: true, all: true, ack_wait_ms: 3000 })
  const [a, , c] = await sub.queue.take(3)
  await c.say('term', { reason: 'not for us' })
  const timer = setInterval(() => a.say('extend'), 200)
  t.after(() => clearInterval(timer))
  assert.deepStrictEqual(brief(await sub.queue.take(1)), ["b'"])
  clearInterval(timer)
  await until(() => sub.queue.items.some((one) => one.data === 'a'), 'what is not extended any more comes again')
  assert.ok(!sub.queue.items.some((one) => one.data === 'c'))
})

test('everything can be given back in one word', async (t) => {
  const client = await connect(t)
  const channel = unique('nak')
  for (const data of 'abc') await client.publish(channel, data)
  const sub = await client.subscribe(channel, { manual: true, all: true, group: 'q' })
  await sub.queue.take(3)
  await sub.do('nak_all', { uncounted: true })
  assert.deepStrictEqual(brief(await sub.queue.take(3)).sort(), ['a', 'b', 'c'])
})

test('a subscription that was stopped gives what comes to the others, and can finish what it has', async (t) => {
  const client = await connect(t)
  const channel = unique('stop')
  const options = { manual: true, all: true, group: 'q', max_in_flight: 2 }
  const first = await client.subscribe(channel, options)
  await client.publish(channel, 'mine')
  const mine = await first.queue.next()
  await first.do('stop')
  const second = await client.subscribe(channel, options)
  for (const data of 'ab') await client.publish(channel, data)
  assert.deepStrictEqual(brief(await second.queue.take(2)).sort(), ['a', 'b'])
  await mine.ack()
  await first.close()
  assert.strictEqual(first.queue.length, 0)
})

test('pending counts what is held: waiting for the handler, in it, and kept', async (t) => {
  const client = await connect(t)
  const channel = unique('pending')
  await client.publish(channel, '', { times: 5 })
  const sub = await client.subscribe(channel, { hold_ms: 800, all: true })
  await until(async () => (await sub.do('pending')).messages === 5, 'all have arrived')
  const { bytes } = await sub.do('pending')
  assert.ok(bytes > 5 && bytes < 5 * (channel.length + 50), `${bytes} bytes`)
  await sub.queue.take(5)
  await until(async () => { const { messages, bytes } = await sub.do('pending'); return messages === 0 && bytes === 0 }, 'nothing is left')
})

test('the backlog is what the server has for the group: waiting, in flight, dead, how old', async (t) => {
  const [client, other] = [await connect(t), await connect(t)]
  const channel = unique('backlog')
  const options = { manual: true, all: true, group: 'q', durable: 'd', max_in_flight: 3 }
  for (const data of ['one', 'two', 'three', 'four', 'five']) await client.publish(channel, data)
  const sub = await client.subscribe(channel, options)
  const [one, two] = await sub.queue.take(3)
  const { backlog } = await sub.do('backlog')
  assert.deepStrictEqual([backlog.messages, backlog.waiting, backlog.in_flight, backlog.members], [5, 2, 3, 1])
  assert.ok(backlog.bytes >= 19 && backlog.waiting_bytes >= 8) // with what the server keeps beside the payload
  assert.strictEqual(backlog.bytes, backlog.waiting_bytes + backlog.in_flight_bytes)
  assert.ok(backlog.oldest_age_ms >= 0)
  await one.say('term')
  await two.ack()
  const member = await other.subscribe(channel, options)
  await until(async () => {
    const { backlog } = await member.do('backlog')
    return backlog.messages === 3 && backlog.waiting === 0 && backlog.dead === 1 && backlog.members === 2
  }, 'what is finished is not counted')
  await sub.close()
  await refusal(sub.do('backlog'), RESULT.CLOSED)
})

test('a subscription by itself has a backlog too; of none the oldest has no age', async (t) => {
  const client = await connect(t)
  const sub = await client.subscribe(unique('backlog'))
  const { backlog } = await sub.do('backlog')
  assert.deepStrictEqual([backlog.messages, backlog.oldest_age_ms], [0, -1])
})

test('a subscription of a closed client has ended, its kept messages stay readable', async (t) => {
  const client = await connect(t)
  const channel = unique('closed')
  const sub = await client.subscribe(channel, { manual: true })
  await client.publish(channel, 'x')
  const kept = await sub.queue.next()
  await client.free()
  await refusal(kept.ack(), RESULT.CLOSED)
  await kept.say('free')
})

run({
  before: async () => { server = await Server.start(['-mc', '0']); driver = Driver.start() },
  after: async () => { await driver.stop(); await server.stop() }
})
