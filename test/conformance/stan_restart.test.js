// SPDX-License-Identifier: Apache-2.0
// NATS Streaming over stops, kills and lost connections: clients notice nothing but a NATS reconnect (ST-B29). Each test has a
// server of its own, which is stopped in order or killed, and started again on its port and data.
'use strict'

const assert = require('assert')
const fs = require('fs')
const path = require('path')
const { test, run } = require('./lib/tap')
const { Server } = require('./lib/server')
const { StanClient, START } = require('./lib/stan')
const { connect, publish, subscribe, ended } = require('./lib/stan_client')
const { event, unique, until } = require('./lib/wait')

const SIGNALS = ['SIGTERM', 'SIGKILL']
const brief = (messages) => messages.map((one) => `${one.data}${'\''.repeat(one.count)}`)

async function start (t, flags = []) {
  const server = await Server.start(flags)
  t.after(() => server.stop())
  return server
}

/** Everything the client has sent and got so far, acknowledgements and deliveries too, is in the log when this returns. */
const settle = (client) => publish(client, unique('settle'), '')

/** Restarts the server and waits until the clients are back. */
async function restart (server, signal, ...clients) {
  const back = clients.map((client) => event(client, 'reconnect'))
  const surprises = []
  for (const client of clients) for (const name of ['close', 'connection_lost']) client.once(name, () => surprises.push(name))
  await server.restart(signal)
  await Promise.all(back)
  return { calm: () => assert.deepStrictEqual(surprises, []) }
}

for (const signal of SIGNALS) {
  test(`ST-B29 a plain subscription goes on where it was, with what it held (${signal})`, async (t) => {
    const server = await start(t)
    const client = await connect(t, server)
    const subscription = await subscribe(client, 'jobs', { manual: true, ackWait: 1000 })
    for (const data of 'abc') await publish(client, 'jobs', data)
    const [a, b] = await subscription.queue.take(3)
    a.ack()
    await settle(client)
    const { calm } = await restart(server, signal, client)
    await publish(client, 'jobs', 'd')
    await until(() => subscription.queue.items.some((one) => one.data === 'd'), 'what is published after the restart')
    // The ack inbox of before still counts; c was neither acknowledged before nor after, and comes again.
    b.ack()
    subscription.queue.items.find((one) => one.data === 'd').ack()
    await settle(client)
    subscription.queue.items = []
    const again = await subscription.queue.take(2)
    for (const one of again) assert.deepStrictEqual([one.data, one.sequence, one.redelivered], ['c', 3, true])
    calm()
  })

  test(`ST-B29 publishing goes on, numbers go on, nothing acknowledged is lost (${signal})`, async (t) => {
    const server = await start(t)
    const client = await connect(t, server)
    const rounds = 4
    for (let round = 0; round < rounds; round++) {
      await Promise.all(Array.from({ length: 100 }, (_, i) => publish(client, 'log', `${round}.${i}`)))
      const { calm } = await restart(server, signal, client)
      calm()
    }
    const got = await (await subscribe(client, 'log', { all: true })).queue.take(rounds * 100)
    assert.deepStrictEqual(got.map((one) => one.sequence), Array.from({ length: rounds * 100 }, (_, i) => i + 1))
    assert.deepStrictEqual(got.map((one) => one.data), Array.from({ length: rounds * 100 }, (_, i) => `${Math.floor(i / 100)}.${i % 100}`))
  })

  test(`ST-B29 pings are answered afterwards as before (${signal})`, async (t) => {
    const server = await start(t)
    const client = await connect(t, server, { stanPingInterval: 1000, stanMaxPingOut: 2 })
    const { calm } = await restart(server, signal, client)
    let pings = 0
    const publishOnce = client.nc.publish
    client.nc.publish = function (subject, ...rest) { if (subject === client.pingRequests) pings++; return publishOnce.call(this, subject, ...rest) }
    await until(() => pings >= 2 && client.pingOut === 0, 'two pings are answered')
    calm()
  })

  test(`ST-B29 what was acknowledged does not come again (${signal})`, async (t) => {
    const server = await start(t)
    const client = await connect(t, server)
    const subscription = await subscribe(client, 'jobs', { group: 'q', durable: 'd', manual: true, ackWait: 1000, all: true })
    await Promise.all(Array.from({ length: 100 }, (_, i) => publish(client, 'jobs', String(i))))
    const got = await subscription.queue.take(100)
    for (const one of got) if (one.sequence !== 50) one.ack()
    await settle(client)
    await restart(server, signal, client)
    subscription.queue.items = [] // on a slow machine some came twice before
    assert.deepStrictEqual((await subscription.queue.take(2)).map((one) => one.sequence), [50, 50])
  })

  test(`ST-B08 a durable queue group without members is still there (${signal})`, async (t) => {
    const server = await start(t)
    const client = await connect(t, server)
    const options = { group: 'q', durable: 'd', manual: true, all: true }
    for (const data of 'abc') await publish(client, 'jobs', data)
    const first = await subscribe(client, 'jobs', options)
    const got = await first.queue.take(3)
    got[1].ack()
    await settle(client)
    await ended(first, 'close')
    await restart(server, signal, client)
    await publish(client, 'jobs', 'd')
    const second = await subscribe(client, 'jobs', options)
    assert.deepStrictEqual(brief(await second.queue.take(3)), ["a'", "c'", 'd'])
  })

  test(`ST-B29 a queue group without a durable name goes on with its members (${signal})`, async (t) => {
    const server = await start(t)
    const [one, two] = [await connect(t, server), await connect(t, server)]
    const options = { group: 'q', manual: true, ackWait: 60000 }
    const members = [await subscribe(one, 'jobs', options), await subscribe(two, 'jobs', options)]
    for (const data of 'abcd') await publish(one, 'jobs', data)
    for (const member of members) for (const job of await member.queue.take(2)) if (job.data < 'c') job.ack()
    await settle(one)
    await settle(two)
    const { calm } = await restart(server, signal, one, two)
    for (let i = 0; i < 10; i++) await publish(two, 'jobs', 'new')
    await until(() => members[0].queue.length + members[1].queue.length === 10, 'all new messages')
    assert.deepStrictEqual(members.map((member) => member.queue.length), [5, 5])
    calm()
  })

  test(`ST-B11 a durable that comes back gets what it held, then what is new (${signal})`, async (t) => {
    const server = await start(t)
    const id = unique('client')
    const first = await connect(t, server, { id })
    const options = { durable: 'd', manual: true, all: true }
    for (const data of 'ab') await publish(first, 'jobs', data)
    await (await subscribe(first, 'jobs', options)).queue.take(2)
    await settle(first)
    first.close()
    await event(first, 'close')
    await server.restart(signal)
    const second = await connect(t, server, { id })
    await publish(second, 'jobs', 'c')
    assert.deepStrictEqual(brief(await (await subscribe(second, 'jobs', options)).queue.take(3)), ["a'", "b'", 'c'])
  })

  test(`ST-B12 redeliveries are counted on (${signal})`, async (t) => {
    const server = await start(t)
    const client = await connect(t, server)
    const subscription = await subscribe(client, 'jobs', { manual: true, ackWait: 1000 })
    await publish(client, 'jobs', 'a')
    assert.deepStrictEqual((await subscription.queue.take(3)).map((one) => one.count), [0, 1, 2])
    await settle(client)
    await restart(server, signal, client)
    assert.deepStrictEqual((await subscription.queue.take(2)).map((one) => one.count), [3, 4])
  })

  test(`ST-B03 MaxInflight counts what was out before (${signal})`, async (t) => {
    const server = await start(t)
    const client = await connect(t, server)
    const subscription = await subscribe(client, 'jobs', { manual: true, maxInFlight: 2, all: true })
    for (const data of 'abcd') await publish(client, 'jobs', data)
    const held = await subscription.queue.take(2)
    await settle(client)
    await restart(server, signal, client)
    await settle(client)
    assert.strictEqual(subscription.queue.length, 0)
    held[0].ack()
    assert.deepStrictEqual(brief(await subscription.queue.take(1)), ['c'])
    await settle(client)
    assert.strictEqual(subscription.queue.length, 0)
  })

  test(`ST-P02 a guid is remembered (${signal})`, async (t) => {
    const server = await start(t)
    const first = await StanClient.connect(server)
    const guid = unique('same')
    await first.publish('once', 'a', { guid })
    await server.restart(signal)
    const second = await StanClient.open(server)
    t.after(() => second.leave())
    const fields = { clientId: first.id, connId: first.connId }
    assert.deepStrictEqual(await second.publish('once', 'b', { ...fields, guid }), { guid, error: '', sent: guid })
    await second.publish('once', 'end', fields)
    await second.register()
    const got = await (await second.subscribe('once')).queue.take(2)
    assert.deepStrictEqual(got.map((one) => [one.sequence, one.data]), [[1, 'a'], [2, 'end']])
  })

  test(`ST-P07 who said goodbye, and what was unsubscribed, stays gone (${signal})`, async (t) => {
    const server = await start(t)
    const gone = await connect(t, server)
    const stays = await connect(t, server)
    await publish(stays, 'jobs', 'a')
    const durable = await subscribe(stays, 'jobs', { durable: 'd', all: true })
    await durable.queue.next()
    await settle(stays)
    await ended(durable, 'unsubscribe')
    gone.close()
    await event(gone, 'close')
    await restart(server, signal, stays)
    const raw = await StanClient.open(server)
    t.after(() => raw.leave())
    assert.strictEqual(await raw.bye(gone.clientID), 'stan: unknown clientID')
    assert.deepStrictEqual(brief(await (await subscribe(stays, 'jobs', { durable: 'd', all: true })).queue.take(1)), ['a'])
  })

  test(`ST-P11 an id is still taken by a client that lives, and free when it does not (${signal})`, { alone: true }, async (t) => {
    const server = await start(t)
    const lives = await connect(t, server)
    const dies = await connect(t, server, { reconnect: false })
    await restart(server, signal, lives)
    await assert.rejects(connect(t, server, { id: lives.clientID }), /stan: clientID already registered/)
    await publish(await connect(t, server, { id: dies.clientID }), 'a', 'x')
  })

  test(`ST-B10 a member that does not come back loses its messages after disconnect_grace (${signal})`, async (t) => {
    const server = await start(t, ['-disconnect_grace', '1s'])
    const stays = await connect(t, server)
    const dies = await connect(t, server, { reconnect: false })
    const options = { group: 'q', manual: true, ackWait: 60000 }
    const member = await subscribe(dies, 'jobs', options)
    await publish(stays, 'jobs', 'a')
    await member.queue.next()
    await settle(stays)
    const other = await subscribe(stays, 'jobs', options)
    await restart(server, signal, stays)
    assert.deepStrictEqual(brief(await other.queue.take(1)), ["a'"])
  })
}

test('ST-B20 a channel follows the limits of the new start', async (t) => {
  const server = await start(t)
  const client = await connect(t, server)
  for (let i = 0; i < 20; i++) await publish(client, 'limited', String(i))
  server.flags = [...server.flags, '-mm', '5']
  await restart(server, 'SIGTERM', client)
  const later = await connect(t, server)
  const subscription = await subscribe(later, 'limited', { all: true })
  assert.deepStrictEqual(brief(await subscription.queue.take(5)), ['15', '16', '17', '18', '19'])
})

test('ST-B14 a client that does not come back after a restart is closed by its heartbeats', async (t) => {
  const server = await start(t, ['-hbi', '300ms', '-hbt', '500ms', '-hbf', '1', '-disconnect_grace', '1h'])
  const stays = await connect(t, server)
  const dies = await connect(t, server, { reconnect: false })
  const options = { group: 'q', manual: true, ackWait: 60000 }
  const member = await subscribe(dies, 'jobs', options)
  await publish(stays, 'jobs', 'a')
  await member.queue.next()
  await settle(stays)
  const other = await subscribe(stays, 'jobs', options)
  const { calm } = await restart(server, 'SIGKILL', stays)
  assert.deepStrictEqual(brief(await other.queue.take(1)), ["a'"])
  calm()
})

test('ST-B10 a worker that reconnects within disconnect_grace keeps its long job', async (t) => {
  const server = await start(t, ['-disconnect_grace', '10s'])
  const [worker, other] = [await connect(t, server), await connect(t, server)]
  const options = { group: 'q', manual: true, ackWait: 60000 }
  const mine = await subscribe(worker, 'jobs', options)
  await publish(other, 'jobs', 'long')
  const job = await mine.queue.next()
  const others = await subscribe(other, 'jobs', options)
  for (let i = 0; i < 3; i++) {
    const back = event(worker, 'reconnect')
    worker.nc.stream.destroy()
    await back
  }
  job.ack()
  await settle(worker)
  // Whatever would have been given away would come now: the worker closes.
  worker.close()
  await event(worker, 'close')
  await settle(other)
  assert.strictEqual(mine.queue.length + others.queue.length, 0)
  await publish(other, 'jobs', 'next')
  assert.deepStrictEqual(brief(await others.queue.take(1)), ['next'])
})

test('ST-B29 a worker that was killed and comes back under its name gets its job again', async (t) => {
  const server = await start(t)
  const id = unique('worker')
  const first = await connect(t, server, { id, reconnect: false })
  const options = { group: 'q', durable: 'd', manual: true, ackWait: 60000, all: true }
  const subscription = await subscribe(first, 'jobs', options)
  await publish(first, 'jobs', 'a')
  await subscription.queue.next()
  first.nc.stream.destroy()
  const second = await connect(t, server, { id })
  assert.deepStrictEqual(brief(await (await subscribe(second, 'jobs', options)).queue.take(1)), ["a'"])
})

test('ST-B29 with a memory store the client learns by its ping that nothing is left', async (t) => {
  const server = await start(t, ['-st', 'memory'])
  const client = await connect(t, server, { stanPingInterval: 1000 })
  await publish(client, 'jobs', 'a')
  const lost = event(client, 'connection_lost')
  await server.restart('SIGTERM')
  assert.match(String(await lost), /client has been replaced or is no longer registered/)
})

test('ST-B05 what has left the log for segments is found by every start position, restart or not', async (t) => {
  const server = await start(t, ['-log_bytes', '16M'])
  const client = await StanClient.connect(server)
  const count = 600
  const payload = (i) => Buffer.alloc(60000, `${i},`)
  for (let i = 1; i <= count; i += 20) await client.store('cold', ...Array.from({ length: 20 }, (_, k) => payload(i + k)))
  await client.bye()
  await client.leave()
  await until(() => fs.existsSync(path.join(server.directory, 'data/shards/1')) && fs.readdirSync(path.join(server.directory, 'data/shards/1')).length > 0, 'a segment')
  for (const signal of ['', 'SIGTERM', 'SIGKILL']) {
    if (signal) await server.restart(signal)
    const reader = await StanClient.connect(server)
    const all = await reader.subscribe('cold', { maxInFlight: count })
    const got = await all.queue.take(count)
    for (let i = 1; i <= count; i++) assert.ok(got[i - 1].sequence === i && got[i - 1].bytes.equals(payload(i)), `message ${i}`)
    const middle = await reader.subscribe('cold', { startPosition: START.SEQUENCE, startSequence: 77, maxInFlight: 2 })
    assert.deepStrictEqual(await middle.sequences(2), [77, 78])
    const startTimeDelta = Date.now() * 1e6 - got[149].timestamp
    const timed = await reader.subscribe('cold', { startPosition: START.TIME, startTimeDelta, maxInFlight: 1 })
    const [first] = await timed.sequences(1)
    assert.ok(first >= 100 && first <= count, `by time: ${first}`)
    await reader.bye()
    await reader.leave()
  }
})

test('ST-B29 many kills in a row: every acknowledged message is there, once, in order', async (t) => {
  const server = await start(t)
  const client = await StanClient.connect(server)
  const fields = { clientId: client.id, connId: client.connId }
  const sent = []
  for (let round = 0; round < 8; round++) {
    const publisher = await StanClient.open(server)
    // One at a time, until the server dies in the middle of it; then the same guid again.
    const stop = setTimeout(() => server.child.kill('SIGKILL'), 30 + 17 * round)
    try {
      for (;;) {
        const guid = `g${sent.length}`
        const ack = await publisher.publish('log', guid, { ...fields, guid })
        assert.strictEqual(ack.error, '')
        sent.push(guid)
      }
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
    }
    clearTimeout(stop)
    await publisher.leave()
    await server.ended
    await server.launch()
  }
  const reader = await StanClient.connect(server)
  t.after(() => reader.leave())
  await reader.publish('log', `g${sent.length}`, { ...fields, guid: `g${sent.length}` }) // perhaps the one that was cut off
  sent.push(`g${sent.length}`)
  const subscription = await reader.subscribe('log', { startPosition: START.FIRST, maxInFlight: 100000 })
  const got = await subscription.queue.take(sent.length)
  assert.deepStrictEqual(got.map((one) => one.data), sent)
  assert.ok(got.every((one, i) => one.sequence === i + 1))
})

run({ atOnce: 6 }) // each has a server of its own
