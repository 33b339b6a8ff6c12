// SPDX-License-Identifier: Apache-2.0
// A fleet over three real servers, of which some are stopped, paused or forgetful. Random histories are in ../e2e/fleet_chaos.js.
'use strict'

const assert = require('assert')
const { test, run } = require('../conformance/lib/tap')
const { Server } = require('../conformance/lib/server')
const node = require('../conformance/lib/stan_client')
const { event, unique, until } = require('../conformance/lib/wait')
const { Driver, Fleet, RESULT } = require('./driver')

let shared, driver
async function refusal (promise, result) {
  try { await promise } catch (error) {
    assert.strictEqual(error.result, result, error.message)
    return error.message
  }
  throw new Error('not refused')
}

/** Servers of a test's own. */
async function servers (t, count = 3, flags = []) {
  const started = await Promise.all(Array.from({ length: count }, () => Server.start(flags)))
  t.after(() => Promise.all(started.map((server) => server.stop())))
  return started
}

async function kill (server) {
  server.child.kill('SIGKILL')
  await server.ended
}

/** What each server has of a channel, as node-nats-streaming reads it: lists of payloads, sorted. */
async function stored (t, list, channel, total) {
  const queues = []
  for (const server of list) queues.push((await node.subscribe(await node.connect(t, server), channel, { all: true })).queue)
  await until(() => queues.reduce((sum, queue) => sum + queue.length, 0) >= total, `${total} messages`)
  return queues.map((queue) => queue.items.map((one) => one.data).sort())
}

test('publishes go to all servers, subscriptions are at all of them', async (t) => {
  const channel = unique('spread')
  const fleet = await driver.fleet(t, shared)
  await fleet.wait()
  const sub = await fleet.subscribe(channel, { group: 'q', durable: 'd', all: true })
  const wanted = Array.from({ length: 60 }, (_, i) => String(i)).sort()
  await Promise.all(wanted.map((data) => fleet.publish(channel, data, { async: Number(data) % 2 === 0 })))
  const got = await sub.queue.take(60)
  assert.deepStrictEqual(got.map((one) => one.data).sort(), wanted)
  for (const index of [0, 1, 2]) assert.ok(got.filter((one) => one.server === index).length > 2)
  assert.deepStrictEqual((await stored(t, shared, channel, 60)).flat().sort(), wanted)
})

test('a fleet and a subscription without options have the defaults', async (t) => {
  const channel = unique('defaults')
  const fleet = await driver.fleet(t, shared, { defaults: true })
  await fleet.wait()
  const sub = await fleet.subscribe(channel, { defaults: true })
  await Promise.all(['1', '2', '3'].map((data) => fleet.publish(channel, data)))
  assert.deepStrictEqual((await sub.queue.take(3)).map((one) => one.data).sort(), ['1', '2', '3'])
})

test('of a server that was never there it is told why, once', async (t) => {
  const [server] = await servers(t, 1)
  const fleet = new Fleet(driver, unique('f'))
  const told = []
  fleet.on('down', (why, { server: index }) => told.push([index, why]))
  await fleet.open(t, [{ url: 'nats://127.0.0.1:1' }, server])
  await fleet.wait(1)
  await until(() => told.length > 0, 'it is told')
  await refusal(fleet.wait(0, 1000), RESULT.TIMEOUT) // a few tries
  assert.strictEqual(told.length, 1)
  assert.strictEqual(told[0][0], 0)
  assert.match(told[0][1], /^connecting: ./)
})

test('a fleet of one server, given by a URL with a password, does not show it', async (t) => {
  const [server] = await servers(t, 1, ['--user', 'u', '--pass', 'secret'])
  const fleet = await driver.fleet(t, [{ url: `nats://u:secret@127.0.0.1:${server.port}` }])
  await fleet.wait()
  await fleet.publish('a', 'x')
  assert.deepStrictEqual(await fleet.states(), [{ url: `nats://127.0.0.1:${server.port}`, state: 1, drained: false }])
})

test('ST-B17 a channel that cannot be one is refused though no server is up', async (t) => {
  const fleet = await driver.fleet(t, [{ url: 'nats://127.0.0.1:1' }])
  for (const channel of ['', 'a b', 'a..b', 'a.', 'a.*', 'a.>']) {
    await refusal(fleet.subscribe(channel), RESULT.INVALID)
    for (const async of [false, true]) await refusal(fleet.publish(channel, 'x', { async }), RESULT.INVALID)
  }
  await refusal(fleet.subscribe('x'.repeat(5000)), RESULT.TOO_BIG)
  await fleet.subscribe('a.b')
})

test('what is no URL of a server is refused, and told by its number', async (t) => {
  for (const url of ['http://127.0.0.1:1', 'nats://u:secret@127.0.0.1:99999', ' ']) {
    const words = await refusal(driver.fleet(t, [{ url: 'nats://127.0.0.1:1' }, { url }]), RESULT.INVALID)
    assert.match(words, /^URL 2 of the list is none of a server: /)
    assert.doesNotMatch(words, /secret/)
  }
})

test('waiting may be for ever, times in options may not', async (t) => {
  const FOREVER = 9223372036854774784 // what JSON has next to INT64_MAX
  const fleet = await driver.fleet(t, shared)
  await fleet.wait(0, FOREVER)
  await fleet.do('flush', { timeout_ms: FOREVER })
  await refusal(fleet.publish(unique('never'), 'x', { timeout_ms: FOREVER }), RESULT.INVALID)
  await refusal(driver.fleet(t, shared, { try_timeout_ms: FOREVER }), RESULT.INVALID)
})

test('what a server refuses is said in its words; a subscription too', async (t) => {
  const fleet = await driver.fleet(t, shared)
  await fleet.wait()
  assert.match(await refusal(fleet.publish('a/b', 'x'), RESULT.REFUSED), /stan: invalid publish request.*stan: invalid publish request/)
  assert.match(await refusal(fleet.publish('a/b', 'x', { async: true }), RESULT.REFUSED), /stan: invalid publish request/)
  assert.strictEqual(await refusal(fleet.subscribe('a/b'), RESULT.REFUSED), 'stan: invalid subject')
})

for (const async of [false, true]) {
  const how = async ? 'asynchronous' : 'synchronous'
  test(`${how} publishes pass over servers that are gone and servers that are paused`, async (t) => {
    const list = await servers(t)
    const fleet = await driver.fleet(t, list, { try_timeout_ms: 200 })
    await fleet.wait()
    await kill(list[0])
    list[1].child.kill('SIGSTOP')
    t.after(() => list[1].child.kill('SIGCONT'))
    const wanted = Array.from({ length: 40 }, (_, i) => String(i)).sort()
    await Promise.all(wanted.map((data) => fleet.publish('jobs', data, { async })))
    assert.deepStrictEqual((await stored(t, [list[2]], 'jobs', 40))[0], wanted)
    assert.strictEqual((await fleet.states())[0].state, 0)
    await until(async () => (await fleet.states())[2].state === 1, 'the third is up, also if it was silent for a moment')
    const back = until(async () => (await fleet.states()).every((one) => one.state === 1), 'all are up again')
    list[1].child.kill('SIGCONT')
    await list[0].launch()
    await back
  })

  test(`${how} publishes fail when no server can be reached, and say why of each`, async (t) => {
    const list = await servers(t)
    const fleet = await driver.fleet(t, list, { try_timeout_ms: 200 })
    await fleet.wait()
    await kill(list[0])
    list[1].child.kill('SIGSTOP')
    t.after(() => list[1].child.kill('SIGCONT'))
    await until(async () => (await fleet.states())[0].state === 0, 'it is seen that the first one is gone')
    await fleet.drain(2)
    const began = performance.now()
    const words = await refusal(fleet.publish('a', 'x', { async, timeout_ms: 1000 }), RESULT.TIMEOUT)
    assert.ok(performance.now() - began > 980)
    const [first, second, third] = words.split('; ')
    assert.match(first, new RegExp(`${list[0].port}: `))
    assert.match(second, new RegExp(`${list[1].port}: no answer in time`))
    assert.match(third, new RegExp(`${list[2].port}: drained`))
    await fleet.undrain(2)
    await fleet.publish('a', 'x', { async })
  })

  test(`${how} publishes wait for the first server that comes`, async (t) => {
    const list = await servers(t, 1)
    await kill(list[0])
    const fleet = await driver.fleet(t, list)
    assert.match(await refusal(fleet.publish('a', 'x', { async, timeout_ms: 300 }), RESULT.UNREACHABLE), new RegExp(`${list[0].port}: `))
    const published = fleet.publish('a', 'y', { async })
    await list[0].launch()
    await published
  })

  test(`${how} publishes whose acknowledgement was late are stored once at that server`, async (t) => {
    const list = await servers(t, 1)
    const fleet = await driver.fleet(t, list, { try_timeout_ms: 100 })
    await fleet.wait()
    list[0].child.kill('SIGSTOP')
    const published = Promise.all(['a', 'b'].map((data) => fleet.publish('once', data, { async })))
    await event(fleet, 'silent')
    list[0].child.kill('SIGCONT')
    await published
    await fleet.publish('once', 'c', { async })
    assert.deepStrictEqual(await stored(t, list, 'once', 3), [['a', 'b', 'c']])
  })
}

test('a key stays at its server, and has another when that is gone', async (t) => {
  const list = await servers(t)
  const [one, two] = [await driver.fleet(t, list), await driver.fleet(t, list)]
  await Promise.all([one.wait(), two.wait()])
  const places = new Map()
  const sub = await one.subscribe('keys', { group: 'q' })
  const publish = async (fleet, key) => {
    const data = unique(key)
    const { server } = await fleet.publish('keys', data, { key })
    for (;;) { // what a killed server had is delivered again
      const got = await sub.queue.next()
      if (got.data !== data) continue
      assert.strictEqual(got.server, server)
      return server
    }
  }
  for (let i = 0; i < 12; i++) places.set(`key-${i}`, await publish(one, `key-${i}`))
  assert.ok(new Set(places.values()).size > 1)
  for (const [key, place] of places) assert.strictEqual(await publish(two, key), place) // whoever publishes
  await kill(list[0])
  for (const [key, place] of places) assert.ok((await publish(one, key) === place) !== (place === 0))
  await list[0].launch()
  await Promise.all([one.wait(), two.wait()])
  for (const [key, place] of places) assert.strictEqual(await publish(two, key), place)
})

test('draining a server: nothing new goes there, what it has is delivered, nothing waits', async (t) => {
  const list = await servers(t)
  const fleet = await driver.fleet(t, list)
  await fleet.wait()
  const sub = await fleet.subscribe('jobs', { group: 'q', durable: 'd', manual: true })
  let at0
  for (let i = 0; !at0; i++) {
    await fleet.publish('jobs', String(i))
    const got = await sub.queue.next()
    if (got.server === 0) at0 = got
    else await got.ack()
  }
  await fleet.drain(0)
  await Promise.all(Array.from({ length: 30 }, (_, i) => fleet.publish('jobs', `after ${i}`)))
  const after = await sub.queue.take(30)
  assert.ok(after.every((one) => one.server !== 0))
  await at0.say('nak')
  assert.strictEqual((await sub.queue.next()).server, 0) // still consumed
  for (const one of after) await one.ack()
  await fleet.undrain(0)
  await until(async () => { await fleet.publish('jobs', 'x'); return (await sub.queue.next()).server === 0 }, 'it takes publishes again')
})

test('subscriptions come back: after a restart, and after the server has forgotten everything', async (t) => {
  const [kept] = await servers(t, 1)
  const [forgetful] = await servers(t, 1, ['--store', 'memory'])
  const fleet = await driver.fleet(t, [kept, forgetful], { ping_interval_ms: 1000 })
  await fleet.wait()
  const sub = await fleet.subscribe('jobs', { group: 'q', durable: 'd', all: true })
  for (const server of [kept, forgetful]) {
    await server.restart()
    await until(async () => {
      await fleet.publish('jobs', 'x')
      return (await sub.queue.next()).server === [kept, forgetful].indexOf(server)
    }, 'its messages come')
  }
})

test('a server that comes later gets the subscriptions that were made before', async (t) => {
  const list = await servers(t, 2)
  await kill(list[1])
  const fleet = await driver.fleet(t, list)
  await fleet.wait(1)
  const sub = await fleet.subscribe('jobs', { group: 'q', durable: 'd', all: true })
  await list[1].launch()
  await fleet.wait()
  await until(async () => { await fleet.publish('jobs', 'x'); return (await sub.queue.next()).server === 1 }, 'its messages come')
})

test('what is pending is counted for each server, and in sum', async (t) => {
  const list = await servers(t)
  const fleet = await driver.fleet(t, list)
  await fleet.wait()
  const sub = await fleet.subscribe('jobs', { group: 'q', manual: true, max_in_flight: 100 })
  for (let i = 0; i < 30; i++) await fleet.publish('jobs', String(i))
  const got = await sub.queue.take(30)
  const sum = await sub.do('pending')
  const parts = await Promise.all([0, 1, 2].map((server) => sub.do('pending', { server })))
  assert.strictEqual(sum.messages, 30)
  assert.strictEqual(sum.bytes, parts.reduce((bytes, part) => bytes + part.bytes, 0))
  for (const [server, part] of parts.entries()) assert.strictEqual(part.messages, got.filter((one) => one.server === server).length)
  await refusal(sub.do('pending', { server: 3 }), -13)
  const { backlog, answers } = await sub.do('backlog')
  assert.deepStrictEqual([backlog.messages, backlog.in_flight, answers], [30, 30, 3])
  assert.strictEqual((await sub.do('backlog', { server: 1 })).backlog.messages, parts[1].messages)
  for (const one of got) await one.ack()
  assert.strictEqual((await sub.do('pending')).messages, 0)
  await kill(list[0])
  await until(async () => (await sub.do('backlog')).answers === 2, 'two servers answer')
  await list[0].launch()
})

test('a fleet\'s subscription ends at all servers: closed, deleted, freed while its handler is at work', async (t) => {
  const list = await servers(t)
  const fleet = await driver.fleet(t, list)
  await fleet.wait()
  await fleet.publish('jobs', 'x')
  const options = { group: 'q', durable: 'd', all: true }
  const first = await fleet.subscribe('jobs', { ...options, hold_ms: 2500 })
  await first.queue.next()
  const began = performance.now()
  await first.do('free')
  assert.ok(performance.now() - began > 500, 'it waited for the handler')
  const second = await fleet.subscribe('jobs', options)
  await second.queue.next() // what was being handled was not acknowledged
  await fleet.publish('other', 'a round trip')
  await second.unsubscribe()
  const third = await fleet.subscribe('jobs', options)
  assert.strictEqual((await third.queue.next()).redelivered, false) // from the beginning: the group was deleted
  await kill(list[0])
  await until(async () => (await fleet.states())[0].state === 0, 'it is seen that it is gone')
  assert.match(await refusal(third.close(), RESULT.UNREACHABLE), new RegExp(`${list[0].port}`))
  await third.do('free')
  await list[0].launch()
})

test('a server that never had a subscription has nothing to be told of its end, but for a durable to be deleted', async (t) => {
  const fleet = await driver.fleet(t, [{ url: 'nats://127.0.0.1:1' }, shared[0]])
  await fleet.wait(1)
  const subscribe = (options) => fleet.subscribe(unique('half'), options)
  const durable = { group: 'q', durable: 'd' }
  await (await subscribe(durable)).close()
  await (await subscribe({ group: 'q' })).unsubscribe()
  assert.match(await refusal((await subscribe(durable)).unsubscribe(), RESULT.UNREACHABLE), /^not told: nats:\/\/127\.0\.0\.1:1: [^;]*$/)
})

test('a fleet is freed whatever its servers are', async (t) => {
  const list = await servers(t)
  const fleet = await driver.fleet(t, list, { request_timeout_ms: 500 })
  await fleet.wait()
  await fleet.subscribe('jobs', { group: 'q', hold_ms: 200 })
  await Promise.all(Array.from({ length: 10 }, () => fleet.publish('jobs', 'x')))
  await kill(list[0])
  list[1].child.kill('SIGSTOP')
  await fleet.free()
  list[1].child.kill('SIGCONT')
  await list[0].launch()
})

run({
  before: async () => { shared = await Promise.all([0, 1, 2].map(() => Server.start(['-mc', '0']))); driver = Driver.start() },
  after: async () => { await driver.stop(); await Promise.all(shared.map((server) => server.stop())) },
  atOnce: 4
})
