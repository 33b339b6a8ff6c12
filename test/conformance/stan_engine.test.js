// SPDX-License-Identifier: Apache-2.0
// How subscriptions of NATS Streaming behave: positions, acknowledgement, redelivery, durables, queue groups, clients that
// close, vanish or fall silent. Requests are made one by one, so that every delivery is accounted for.
'use strict'

const assert = require('assert')
const { test, run } = require('./lib/tap')
const { Server } = require('./lib/server')
const { Raw } = require('./lib/raw')
const { StanClient, START, message, pb } = require('./lib/stan')
const { unique, until } = require('./lib/wait')

let server

async function connect (t, fields, to = server) {
  const client = await StanClient.connect(to, fields)
  t.after(() => client.leave())
  return client
}

async function own (t, flags, options) {
  const started = await Server.start(flags, options)
  t.after(() => started.stop())
  return started
}

/** Lets time go by where time itself is what a test is about. */
const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const median = (numbers) => numbers.slice().sort((a, b) => a - b)[numbers.length >> 1]
const brief = (messages) => messages.map((one) => `${one.data}${'\''.repeat(one.count)}`)

test('ST-B01 a channel is made by its first publish, and numbered from 1 without gaps', async (t) => {
  const client = await connect(t)
  const channel = unique('channel')
  for (let i = 1; i <= 50; i++) {
    await client.publish(channel, String(i))
    if (i % 10 === 0) await client.publish(channel, 'refused', { connId: Buffer.from('wrong') })
  }
  const got = await (await client.subscribe(channel)).queue.take(50)
  assert.deepStrictEqual(got.map((one) => [one.sequence, one.data]), got.map((_, i) => [i + 1, String(i + 1)]))
})

test('ST-B01 a channel is made by its first subscription', async (t) => {
  const client = await connect(t)
  const channel = unique('channel')
  const subscription = await client.subscribe(channel)
  await client.store(channel, 'a')
  assert.deepStrictEqual(await subscription.sequences(1), [1])
})

test('ST-B02 without an acknowledgement a message comes again and again, counted', async (t) => {
  const client = await connect(t)
  const channel = unique('again')
  await client.store(channel, 'a')
  const subscription = await client.subscribe(channel, { ackWaitInSecs: 1 })
  const got = await subscription.queue.take(4)
  assert.deepStrictEqual(got.map((one) => [one.sequence, one.data, one.redelivered, one.count]),
    [[1, 'a', false, 0], [1, 'a', true, 1], [1, 'a', true, 2], [1, 'a', true, 3]])
  assert.ok(got.every((one) => one.timestamp === got[0].timestamp))
})

test('ST-B02 what is acknowledged does not come again, the rest does', async (t) => {
  const client = await connect(t)
  const channel = unique('again')
  await client.store(channel, ...'abcdef')
  const subscription = await client.subscribe(channel, { ackWaitInSecs: 1 })
  await subscription.sequences(6)
  subscription.ack(1, 3, 5)
  assert.deepStrictEqual((await subscription.queue.take(6)).map((one) => [one.sequence, one.count]), [[2, 1], [4, 1], [6, 1], [2, 2], [4, 2], [6, 2]])
})

test('ST-B03 no more than MaxInflight are out without acknowledgement', async (t) => {
  const client = await connect(t)
  const channel = unique('inflight')
  await client.store(channel, ...'abcdefgh')
  const subscription = await client.subscribe(channel, { maxInFlight: 3 })
  assert.deepStrictEqual(await subscription.sequences(3), [1, 2, 3])
  await client.ping()
  await client.nc.flush()
  assert.strictEqual(subscription.queue.length, 0)
  subscription.ack(2)
  assert.deepStrictEqual(await subscription.sequences(1), [4])
  subscription.ack(1, 3)
  assert.deepStrictEqual(await subscription.sequences(2), [5, 6])
  await client.ping()
  await client.nc.flush()
  assert.strictEqual(subscription.queue.length, 0)
})

test('ST-B03 a redelivery goes beyond MaxInflight', async (t) => {
  const [one, two] = [await connect(t), await connect(t)]
  const channel = unique('forced')
  const first = await one.subscribe(channel, { qGroup: 'q', maxInFlight: 1 })
  await one.store(channel, 'a')
  await first.sequences(1)
  const second = await two.subscribe(channel, { qGroup: 'q', maxInFlight: 1 })
  await one.store(channel, 'b')
  assert.deepStrictEqual(await second.data(1), ['b'])
  await first.close()
  const again = await second.next()
  assert.deepStrictEqual([again.data, again.redelivered], ['a', true])
})

test('ST-B04 each subscription has its own wait, in whole seconds', { alone: true }, async (t) => {
  const client = await connect(t)
  const channel = unique('wait')
  await client.store(channel, ...'abcde')
  const subscriptions = [await client.subscribe(channel, { ackWaitInSecs: 1 }), await client.subscribe(channel, { ackWaitInSecs: 2 })]
  for (const [i, subscription] of subscriptions.entries()) {
    const first = await subscription.queue.take(5)
    const again = await subscription.queue.take(5)
    const waits = again.map((message, k) => message.at - first[k].at)
    assert.ok(Math.min(...waits) > (i + 1) * 1000 - 20, `not before its time: ${waits}`)
    assert.ok(median(waits) < (i + 1) * 1000 + 150, `soon after it: ${waits}`)
  }
})

test('ST-B05 new only: what was there before does not come', async (t) => {
  const client = await connect(t)
  const channel = unique('start')
  await client.store(channel, 'old')
  const subscription = await client.subscribe(channel, { startPosition: START.NEW })
  await client.store(channel, 'new')
  assert.deepStrictEqual(await subscription.data(1), ['new'])
})

test('ST-B05 last received; of an empty channel the first to come', async (t) => {
  const client = await connect(t)
  const channel = unique('start')
  const early = await client.subscribe(channel, { startPosition: START.LAST })
  await client.store(channel, 'a')
  await client.store(channel, 'b')
  const late = await client.subscribe(channel, { startPosition: START.LAST })
  assert.deepStrictEqual(await early.data(2), ['a', 'b'])
  assert.deepStrictEqual(await late.data(1), ['b'])
})

test('ST-B05 by sequence, clamped to what is there', async (t) => {
  const client = await connect(t)
  const channel = unique('start')
  await client.store(channel, 'a')
  await client.store(channel, 'b')
  await client.store(channel, 'c')
  const starts = [[0, 'abcd'], [1, 'abcd'], [2, 'bcd'], [3, 'cd'], [4, 'd'], [5, 'd'], [1000000, 'd'], [Number.MAX_SAFE_INTEGER, 'd']]
  const subscriptions = []
  for (const [startSequence] of starts) subscriptions.push(await client.subscribe(channel, { startPosition: START.SEQUENCE, startSequence }))
  await client.store(channel, 'd')
  for (const [i, [start, wanted]] of starts.entries()) {
    assert.strictEqual((await subscriptions[i].data(wanted.length)).join(''), wanted, `from ${start}`)
  }
})

test('ST-B05 by time, clamped to what is there', { alone: true }, async (t) => {
  const client = await connect(t)
  const channel = unique('start')
  await client.store(channel, 'a')
  await pass(1500)
  await client.store(channel, 'b')
  const times = (await (await client.subscribe(channel)).queue.take(2)).map((one) => one.timestamp)
  const middle = () => Date.now() * 1e6 - (times[0] + times[1]) / 2
  await pass(5) // "now" is after b
  const starts = [[middle, 'bc'], [3600e9, 'abc'], [0, 'c'], [-3600e9, 'c'], [Number.MAX_SAFE_INTEGER, 'abc']]
  const subscriptions = []
  for (const [delta] of starts) {
    subscriptions.push(await client.subscribe(channel, { startPosition: START.TIME, startTimeDelta: delta === middle ? middle() : delta }))
  }
  await client.store(channel, 'c')
  for (const [i, [delta, wanted]] of starts.entries()) {
    assert.strictEqual((await subscriptions[i].data(wanted.length)).join(''), wanted, `${delta} ns back`)
  }
})

test('ST-B05 all that is available, in order, then what comes', async (t) => {
  const client = await connect(t)
  const channel = unique('start')
  for (let i = 0; i < 40; i++) await client.store(channel, ...Array.from({ length: 50 }, () => 'x'.repeat(i)))
  const subscription = await client.subscribe(channel, { maxInFlight: 10000 })
  await client.store(channel, 'end')
  assert.deepStrictEqual(await subscription.sequences(2001), Array.from({ length: 2001 }, (_, i) => i + 1))
})

test('ST-B05 an empty channel takes every start position', async (t) => {
  const client = await connect(t)
  const channel = unique('start')
  const subscriptions = []
  for (const startPosition of [0, 1, 2, 3, 4]) subscriptions.push(await client.subscribe(channel, { startPosition, startSequence: 7, startTimeDelta: 1e9 }))
  await client.store(channel, 'a')
  for (const subscription of subscriptions) assert.deepStrictEqual(await subscription.sequences(1), [1])
})

test('ST-B06 a durable goes on where it was; its start position counts only once', async (t) => {
  const client = await connect(t)
  const channel = unique('durable')
  await client.store(channel, 'a')
  await client.store(channel, 'b')
  const first = await client.subscribe(channel, { durableName: 'd' })
  first.ack(...await first.sequences(2))
  await first.close()
  await client.store(channel, 'c')
  const second = await client.subscribe(channel, { durableName: 'd', startPosition: START.SEQUENCE, startSequence: 1 })
  assert.deepStrictEqual(brief(await second.queue.take(1)), ['c'])
  await client.nc.flush()
  assert.strictEqual(second.queue.length, 0)
})

test('ST-B06 a durable outlives its client, and belongs to the client id', async (t) => {
  const client = await connect(t)
  const channel = unique('durable')
  const subscription = await client.subscribe(channel, { durableName: 'd' })
  await client.store(channel, 'a')
  subscription.ack(...await subscription.sequences(1))
  await client.bye()
  const other = await connect(t)
  await other.store(channel, 'b')
  const again = await connect(t, { clientId: client.id })
  assert.deepStrictEqual(await (await again.subscribe(channel, { durableName: 'd' })).data(1), ['b'])
  assert.deepStrictEqual(await (await other.subscribe(channel, { durableName: 'd' })).data(2), ['a', 'b'])
})

test('ST-B06 unsubscribing deletes a durable', async (t) => {
  const client = await connect(t)
  const channel = unique('durable')
  await client.store(channel, 'a')
  const subscription = await client.subscribe(channel, { durableName: 'd' })
  subscription.ack(...await subscription.sequences(1))
  await subscription.unsubscribe()
  assert.deepStrictEqual(brief(await (await client.subscribe(channel, { durableName: 'd' })).queue.take(1)), ['a'])
})

test('ST-B06 a durable that comes back has the MaxInflight and ack wait it asks for then', async (t) => {
  const client = await connect(t)
  const channel = unique('durable')
  for (const data of 'abcde') await client.store(channel, data)
  const first = await client.subscribe(channel, { durableName: 'd', maxInFlight: 4, ackWaitInSecs: 60 })
  await first.sequences(4)
  first.ack(1)
  await first.sequences(1)
  await first.close()
  const second = await client.subscribe(channel, { durableName: 'd', maxInFlight: 2, ackWaitInSecs: 1 })
  // What it held comes whole, new messages only when there is room; and all of it again after a second.
  assert.deepStrictEqual(brief(await second.queue.take(4)), ["b'", "c'", "d'", "e'"])
  await client.store(channel, 'f')
  assert.deepStrictEqual(brief(await second.queue.take(4)), ["b''", "c''", "d''", "e''"])
  second.ack(2, 3)
  await client.nc.flush()
  second.ack(4)
  await until(() => second.queue.items.some((one) => one.data === 'f'), 'there is room for f')
})

test('ST-B07 each message goes to one member of a queue group', async (t) => {
  const clients = [await connect(t), await connect(t), await connect(t)]
  const channel = unique('group')
  const members = []
  for (const client of clients) members.push(await client.subscribe(channel, { qGroup: 'q' }))
  const other = await clients[0].subscribe(channel, { qGroup: 'r' })
  const count = 300
  for (const client of clients) await client.store(channel, ...Array.from({ length: count / 3 }, () => 'x'))
  await until(() => members.reduce((sum, member) => sum + member.queue.length, 0) >= count, 'all were delivered')
  const got = members.flatMap((member) => member.queue.items.map((one) => one.sequence))
  assert.deepStrictEqual(got.sort((a, b) => a - b), Array.from({ length: count }, (_, i) => i + 1))
  for (const member of members) assert.strictEqual(member.queue.length, count / 3)
  await other.sequences(count)
})

test('ST-B07 a message goes to the member with the fewest in flight', async (t) => {
  const client = await connect(t)
  const channel = unique('group')
  const busy = await client.subscribe(channel, { qGroup: 'q' })
  await client.store(channel, ...'abcd')
  await busy.sequences(4)
  const idle = await client.subscribe(channel, { qGroup: 'q' })
  for (let i = 0; i < 4; i++) await client.store(channel, 'x')
  assert.deepStrictEqual(await idle.sequences(4), [5, 6, 7, 8])
  busy.ack(1, 2, 3, 4)
  for (let i = 0; i < 4; i++) await client.store(channel, 'x')
  assert.deepStrictEqual(await busy.sequences(4), [9, 10, 11, 12])
})

test('ST-B07 a stalled member is passed over', async (t) => {
  const client = await connect(t)
  const channel = unique('group')
  const narrow = await client.subscribe(channel, { qGroup: 'q', maxInFlight: 1 })
  const wide = await client.subscribe(channel, { qGroup: 'q', maxInFlight: 100 })
  for (let i = 0; i < 20; i++) await client.store(channel, String(i))
  await wide.sequences(19)
  assert.strictEqual(narrow.queue.length, 1)
})

test('ST-B07 when all members are stalled the group waits, and goes on in order', async (t) => {
  const client = await connect(t)
  const channel = unique('group')
  const members = [await client.subscribe(channel, { qGroup: 'q', maxInFlight: 1 }), await client.subscribe(channel, { qGroup: 'q', maxInFlight: 1 })]
  for (let i = 0; i < 6; i++) await client.store(channel, '')
  const [one] = await members[0].sequences(1)
  const [two] = await members[1].sequences(1)
  assert.deepStrictEqual([one, two].sort(), [1, 2])
  members[1].ack(two)
  assert.deepStrictEqual(await members[1].sequences(1), [3])
  members[0].ack(one)
  assert.deepStrictEqual(await members[0].sequences(1), [4])
})

test('ST-B07 only the first member\'s start position counts; an empty group is forgotten', async (t) => {
  const client = await connect(t)
  const channel = unique('group')
  await client.store(channel, 'a')
  const first = await client.subscribe(channel, { qGroup: 'q', startPosition: START.NEW })
  const second = await client.subscribe(channel, { qGroup: 'q', startPosition: START.FIRST })
  await client.store(channel, 'b')
  const got = await Promise.race([first.data(1), second.data(1)])
  assert.deepStrictEqual(got, ['b'])
  await first.close()
  await second.close()
  const third = await client.subscribe(channel, { qGroup: 'q', startPosition: START.FIRST })
  assert.deepStrictEqual(brief(await third.queue.take(2)), ['a', 'b'])
})

test('ST-B08 a durable queue group survives without members', async (t) => {
  const [one, two] = [await connect(t), await connect(t)]
  const channel = unique('durable')
  const fields = { qGroup: 'q', durableName: 'd' }
  const members = [await one.subscribe(channel, fields), await two.subscribe(channel, fields)]
  await one.store(channel, 'a')
  const owner = await Promise.race(members.map(async (member) => { await member.next(); return member }))
  owner.ack(1)
  await members[0].close()
  await two.bye()
  await one.store(channel, 'b')
  await one.store(channel, 'c')
  const third = await connect(t)
  assert.deepStrictEqual(brief(await (await third.subscribe(channel, fields)).queue.take(2)), ['b', 'c'])
})

test('ST-B08 what nobody acknowledged waits in the group for its next member', async (t) => {
  const client = await connect(t)
  const channel = unique('durable')
  const fields = { qGroup: 'q', durableName: 'd' }
  await client.store(channel, 'a')
  await client.store(channel, 'b')
  const first = await client.subscribe(channel, fields)
  await first.sequences(2)
  first.ack(2)
  await first.close()
  const second = await client.subscribe(channel, fields)
  const again = await second.next()
  assert.deepStrictEqual([again.data, again.redelivered], ['a', true])
  await client.store(channel, 'c')
  assert.deepStrictEqual(await second.data(1), ['c'])
})

test('ST-B08 the last member\'s unsubscribe deletes the group, another\'s does not', async (t) => {
  const client = await connect(t)
  const channel = unique('durable')
  const fields = { qGroup: 'q', durableName: 'd' }
  await client.store(channel, 'a')
  const first = await client.subscribe(channel, fields)
  first.ack(...await first.sequences(1))
  const second = await client.subscribe(channel, fields)
  assert.strictEqual(await first.unsubscribe(), '')
  assert.strictEqual(await second.close(), '')
  await client.store(channel, 'b')
  const third = await client.subscribe(channel, fields)
  assert.deepStrictEqual(brief(await third.queue.take(1)), ['b'])
  assert.strictEqual(await third.unsubscribe(), '')
  assert.deepStrictEqual(brief(await (await client.subscribe(channel, fields)).queue.take(2)), ['a', 'b'])
})

test('ST-B08 another durable name, or none, is another group', async (t) => {
  const client = await connect(t)
  const channel = unique('durable')
  const groups = [{ durableName: 'd' }, { durableName: 'e' }, {}]
  const members = []
  for (const fields of groups) members.push(await client.subscribe(channel, { qGroup: 'q', ...fields }))
  await client.store(channel, 'a')
  for (const member of members) assert.deepStrictEqual(await member.data(1), ['a'])
})

test('ST-B09 another member may acknowledge', async (t) => {
  const client = await connect(t)
  const channel = unique('late')
  const first = await client.subscribe(channel, { qGroup: 'q', ackWaitInSecs: 1 })
  await client.store(channel, 'a')
  await client.store(channel, 'b')
  await first.sequences(2)
  const second = await client.subscribe(channel, { qGroup: 'q', ackWaitInSecs: 1 })
  second.ack(1)
  // b, as old as a, comes again to one of them, several times; a does not.
  await until(() => first.queue.length + second.queue.length >= 3, 'b comes again')
  assert.ok([...first.queue.items, ...second.queue.items].every((one) => one.data === 'b'))
})

test('ST-B09 a late acknowledgement counts although the message has moved to another member', async (t) => {
  const [one, two] = [await connect(t), await connect(t)]
  const channel = unique('late')
  const first = await one.subscribe(channel, { qGroup: 'q', ackWaitInSecs: 1 })
  await one.store(channel, 'a')
  await one.store(channel, 'b')
  await first.sequences(2)
  const second = await two.subscribe(channel, { qGroup: 'q', ackWaitInSecs: 1 })
  await one.store(channel, 'c') // keeps the second member as busy as it takes to be an equal
  await second.sequences(1)
  await until(() => first.queue.length + second.queue.length >= 3, 'all have come again')
  first.ack(1)
  second.ack(3)
  await one.nc.flush()
  await two.nc.flush()
  first.queue.items = []
  second.queue.items = []
  await until(() => first.queue.length + second.queue.length >= 3, 'b comes again')
  const got = [...first.queue.items, ...second.queue.items]
  assert.ok(got.slice(-2).every((message) => message.data === 'b'), brief(got).join())
})

test('ST-B09 an acknowledgement that comes with the reconnect is in time', async (t) => {
  const brisk = await own(t, ['-disconnect_grace', '0s'], { http: true })
  const [holder, other] = [await connect(t, {}, brisk), await connect(t, {}, brisk)]
  const held = await holder.subscribe('late', { maxInFlight: 1 })
  await other.store('late', 'a')
  const { sequence } = await held.next()
  await holder.leave()
  await until(async () => (await brisk.page('/varz')).connections === 1, 'the server has noticed')
  // Given back and nobody to take it, the message waits; the worker comes back and acknowledges in one breath.
  const raw = await Raw.connect(brisk)
  t.after(() => raw.destroy())
  const ack = Buffer.from(message('Ack', { subject: 'late', sequence })).toString('latin1')
  raw.send(Buffer.from(`SUB ${held.inbox} 1\r\nPUB ${held.ackInbox} ${ack.length}\r\n${ack}\r\n`, 'latin1'))
  await raw.flush()
  await other.store('late', 'b')
  const proto = pb.MsgProto.deserializeBinary(Buffer.from((await raw.line()).split('\r\n').slice(1).join('\r\n'), 'latin1'))
  assert.deepStrictEqual([proto.getSequence(), proto.getRedelivered()], [2, false])
})

for (const [how, leave] of [
  ['closes', (client) => client.bye()],
  ['closes its subscription', (client, subscription) => subscription.close()],
  ['unsubscribes', (client, subscription) => subscription.unsubscribe()]]) {
  test(`ST-B10 when a member ${how}, the others get its messages within 100 ms`, { alone: true }, async (t) => {
    const stays = await connect(t)
    const waits = []
    for (let round = 0; round < 5; round++) {
      const goes = await connect(t)
      const channel = unique('leave')
      const member = await goes.subscribe(channel, { qGroup: 'q' })
      await stays.store(channel, ...'abcde')
      await member.sequences(5)
      const other = await stays.subscribe(channel, { qGroup: 'q' })
      const begin = performance.now()
      await leave(goes, member)
      const got = await other.queue.take(5)
      waits.push(got[4].at - begin)
      assert.deepStrictEqual(got.map((one) => [one.sequence, one.count]), [[1, 1], [2, 1], [3, 1], [4, 1], [5, 1]])
    }
    assert.ok(median(waits) < 100, `milliseconds: ${waits.map(Math.round)}`)
  })
}

test('ST-B10 when a member\'s connection is lost, the others get its messages after disconnect_grace', { alone: true }, async (t) => {
  const brisk = await own(t, ['-disconnect_grace', '700ms'])
  const [stays, goes] = [await connect(t, {}, brisk), await connect(t, {}, brisk)]
  const member = await goes.subscribe('lost', { qGroup: 'q' })
  await stays.store('lost', ...'abc')
  await member.sequences(3)
  const other = await stays.subscribe('lost', { qGroup: 'q' })
  const begin = performance.now()
  await goes.leave()
  const got = await other.queue.take(3)
  assert.deepStrictEqual(got.map((one) => [one.sequence, one.count]), [[1, 1], [2, 1], [3, 1]])
  // The usual grace is 5 s.
  for (const one of got) assert.ok(one.at - begin > 650 && one.at - begin < 4000, `after ${one.at - begin} ms`)
})

test('ST-B10 with a disconnect_grace of 0 they get them at once', { alone: true }, async (t) => {
  const brisk = await own(t, ['-disconnect_grace', '0s'])
  const stays = await connect(t, {}, brisk)
  const waits = []
  for (let round = 0; round < 5; round++) {
    const goes = await connect(t, {}, brisk)
    const channel = unique('lost')
    const member = await goes.subscribe(channel, { qGroup: 'q' })
    await stays.store(channel, 'a')
    await member.sequences(1)
    const other = await stays.subscribe(channel, { qGroup: 'q' })
    const begin = performance.now()
    await goes.leave()
    waits.push((await other.next()).at - begin)
  }
  assert.ok(median(waits) < 100, `milliseconds: ${waits.map(Math.round)}`)
})

test('ST-B10 while a member\'s connection is lost, new messages go to the others', async (t) => {
  const [stays, goes] = [await connect(t), await connect(t)]
  const channel = unique('lost')
  const member = await goes.subscribe(channel, { qGroup: 'q' })
  const other = await stays.subscribe(channel, { qGroup: 'q' })
  await goes.leave()
  await until(async () => {
    const before = other.queue.length
    for (let i = 0; i < 10; i++) await stays.store(channel, 'x')
    await stays.nc.flush()
    return other.queue.length - before === 10
  }, 'the one that stays gets every message')
  assert.strictEqual(member.queue.length, 0)
})

test('ST-B11 a durable gets what it had not acknowledged before anything new', async (t) => {
  const client = await connect(t)
  const channel = unique('resume')
  const fields = { durableName: 'd', maxInFlight: 3 }
  for (const data of 'abcdef') await client.store(channel, data)
  const first = await client.subscribe(channel, fields)
  await first.sequences(3)
  first.ack(2)
  await first.sequences(1)
  await first.close()
  const second = await client.subscribe(channel, fields)
  assert.deepStrictEqual(brief(await second.queue.take(3)), ["a'", "c'", "d'"])
  await client.nc.flush()
  assert.strictEqual(second.queue.length, 0)
  second.ack(1, 3, 4)
  assert.deepStrictEqual(brief(await second.queue.take(2)), ['e', 'f'])
})

test('ST-B13 a plain subscription leaves nothing behind', async (t) => {
  const client = await connect(t)
  const channel = unique('plain')
  await client.store(channel, 'a')
  const first = await client.subscribe(channel)
  await first.sequences(1)
  await first.close()
  const second = await client.subscribe(channel, { startPosition: START.NEW })
  await client.store(channel, 'b')
  assert.deepStrictEqual(brief(await second.queue.take(1)), ['b'])
  const third = await client.subscribe(channel)
  assert.deepStrictEqual(brief(await third.queue.take(2)), ['a', 'b'])
})

test('ST-B14 a client that answers no heartbeats is closed after so many failures', { alone: true }, async (t) => {
  const strict = await own(t, ['-hbi', '150ms', '-hbt', '400ms', '-hbf', '2'])
  const silent = await connect(t, { heartbeats: false }, strict)
  const other = await connect(t, {}, strict)
  const member = await silent.subscribe('failing', { qGroup: 'q' })
  await other.store('failing', 'a')
  await member.sequences(1)
  // Its message is released, nobody needs to acknowledge for it.
  const heir = await other.subscribe('failing', { qGroup: 'q' })
  assert.deepStrictEqual(brief(await heir.queue.take(1)), ["a'"])
  assert.strictEqual((await silent.ping()).error, 'client has been replaced or is no longer registered')
  assert.strictEqual(silent.heartbeats.length, 3)
  assert.strictEqual((await other.ping()).error, '')
})

test('ST-B14 a client whose connection is gone is closed after so many failures', { alone: true }, async (t) => {
  const strict = await own(t, ['-hbi', '150ms', '-hbt', '400ms', '-hbf', '2', '-disconnect_grace', '1h'])
  const lost = await StanClient.connect(strict)
  const other = await connect(t, {}, strict)
  const member = await lost.subscribe('failing', { qGroup: 'q' })
  await other.store('failing', 'a')
  await member.sequences(1)
  const heir = await other.subscribe('failing', { qGroup: 'q' })
  await lost.leave()
  assert.deepStrictEqual(brief(await heir.queue.take(1)), ["a'"])
  await connect(t, { clientId: lost.id }, strict)
})

test('ST-B15 a member with a failed heartbeat is avoided before its client is closed', async (t) => {
  const patient = await own(t, ['-hbi', '200ms', '-hbt', '400ms', '-hbf', '100000'])
  const silent = await connect(t, { heartbeats: false }, patient)
  const other = await connect(t, {}, patient)
  const suspect = await silent.subscribe('work', { qGroup: 'q' })
  const healthy = await other.subscribe('work', { qGroup: 'q' })
  await silent.heartbeats.take(2) // so the first has failed
  for (let i = 0; i < 20; i++) await other.store('work', 'x')
  await healthy.sequences(20)
  assert.strictEqual(suspect.queue.length, 0)
})

test('ST-B15 a member whose heartbeats fail still gets what nobody else can take', async (t) => {
  const patient = await own(t, ['-hbi', '200ms', '-hbt', '400ms', '-hbf', '100000'])
  const silent = await connect(t, { heartbeats: false }, patient)
  const suspect = await silent.subscribe('work', { qGroup: 'q' })
  await silent.heartbeats.take(2)
  await silent.store('work', 'x')
  await suspect.sequences(1)
})

test('ST-B16 a ping of a client whose heartbeats fail is followed by a heartbeat at once', async (t) => {
  const slow = await own(t, ['-hbi', '3s', '-hbt', '100ms', '-hbf', '100000'])
  const client = await connect(t, { heartbeats: false }, slow)
  const first = await client.heartbeats.next()
  await until(async () => { await client.ping(); return client.heartbeats.length > 0 }, 'a heartbeat')
  const second = await client.heartbeats.next()
  assert.ok(second.at - first.at > 90, 'not before the first has failed')
  assert.ok(second.at - first.at < 2000, 'long before the interval is over')
})

test('ST-B17 wildcards are refused in subscriptions and publishes', async (t) => {
  const client = await connect(t)
  for (const channel of ['a.*', '*', '>', 'a.>', 'a.*.b', 'a*']) {
    assert.strictEqual((await client.trySubscribe(channel)).error, 'stan: invalid subject')
    const ack = await client.publish(channel, 'x')
    assert.strictEqual(ack.error, 'stan: invalid publish request')
  }
})

test('ST-B18 besides Ack and our own words nothing on the ack inbox counts', { alone: true }, async (t) => {
  const client = await connect(t)
  const channel = unique('nack')
  await client.store(channel, 'a')
  const subscription = await client.subscribe(channel, { ackWaitInSecs: 1 })
  const first = await subscription.next()
  for (const word of ['-NAK 2', '-NAK 1 {', '-nak', '+WPI 2', '+TERM', '+NXT', '+ACK', '', '\0', 'x'.repeat(1000)]) client.nc.publish(subscription.ackInbox, word)
  client.nc.publish(subscription.ackInbox, Buffer.from([0x10])) // a number cut short
  client.nc.publish(subscription.ackInbox, Buffer.from([0x12, 0x01, 0x01])) // the sequence as text
  await client.nc.flush()
  const again = await subscription.next()
  assert.ok(again.at - first.at > 980, 'not given back early')
  assert.strictEqual(again.count, 1)
})

test('ST-B18 acknowledging what was never delivered, or twice, changes nothing', async (t) => {
  const client = await connect(t)
  const channel = unique('odd')
  for (const data of 'abc') await client.store(channel, data)
  const subscription = await client.subscribe(channel, { maxInFlight: 1 })
  await subscription.sequences(1)
  subscription.ack(0, 2, 3, 4, 1000000, Number.MAX_SAFE_INTEGER, 1, 1, 1)
  assert.deepStrictEqual(brief(await subscription.queue.take(1)), ['b'])
  await client.nc.flush()
  assert.strictEqual(subscription.queue.length, 0)
  subscription.ack(2)
  assert.deepStrictEqual(brief(await subscription.queue.take(1)), ['c'])
})

test('ST-B19 on one connection and channel acknowledgements come in order', async (t) => {
  const client = await connect(t)
  const channel = unique('acks')
  const order = []
  await Promise.all(Array.from({ length: 500 }, async (_, i) => { await client.publish(channel, String(i)); order.push(i) }))
  assert.deepStrictEqual(order, Array.from({ length: 500 }, (_, i) => i))
  const data = await (await client.subscribe(channel)).data(500)
  assert.deepStrictEqual(data, order.map(String))
})

test('ST-B20 beyond a channel\'s limits the oldest messages go, unacknowledged ones too', async (t) => {
  const small = await own(t, ['-mm', '3'])
  const client = await connect(t, {}, small)
  for (const data of 'ab') await client.store('limited', data)
  const early = await client.subscribe('limited', { ackWaitInSecs: 1 })
  await early.sequences(2)
  for (const data of 'cde') await client.store('limited', data)
  assert.deepStrictEqual(await (await client.subscribe('limited')).sequences(3), [3, 4, 5])
  assert.deepStrictEqual(await (await client.subscribe('limited', { startPosition: START.SEQUENCE, startSequence: 1 })).sequences(3), [3, 4, 5])
  await client.nc.flush()
  early.queue.items = []
  // a and b are gone, and do not come again; c, d and e do.
  const again = await early.queue.take(6)
  assert.deepStrictEqual(again.slice(3).map((one) => [one.data, one.redelivered]).sort(), [['c', true], ['d', true], ['e', true]])
  assert.ok(again.every((one) => one.sequence >= 3))
})

test('ST-B20 messages older than max_age go', async (t) => {
  const short = await own(t, ['-ma', '300ms'])
  const client = await connect(t, {}, short)
  await client.store('aging', 'old')
  await until(async () => {
    const subscription = await client.subscribe('aging')
    await client.ping()
    await client.nc.flush()
    const left = subscription.queue.length
    await subscription.close()
    return left === 0
  }, 'the message is gone')
  await client.store('aging', 'new')
  assert.deepStrictEqual(await (await client.subscribe('aging')).sequences(1), [2])
})

test('ST-B27 one connection publishes and subscribes; each subscription gets every message', async (t) => {
  const client = await connect(t)
  const channel = unique('both')
  const subscriptions = [await client.subscribe(channel), await client.subscribe(channel), await client.subscribe(channel, { durableName: 'd' })]
  await client.store(channel, 'a')
  await client.store(channel, 'b')
  for (const subscription of subscriptions) assert.deepStrictEqual(await subscription.data(2), ['a', 'b'])
})

run({
  before: async () => { server = await Server.start(['-mc', '0']) },
  after: () => server.stop()
})
