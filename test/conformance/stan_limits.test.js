// SPDX-License-Identifier: Apache-2.0
// Limits of channels, channels that nobody uses, and durables that are taken over, as the unmodified npm client node-nats-streaming
// sees them on a server with a configuration of NATS Streaming.
'use strict'

const assert = require('assert')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { test, run } = require('./lib/tap')
const { Server } = require('./lib/server')
const { connect, publish, subscribe, ended } = require('./lib/stan_client')
const { until } = require('./lib/wait')

const refusal = async (promise) => { try { await promise } catch (error) { return error.message } throw new Error('not refused') }

/** A server with this file for -sc; the file can be written again. */
async function start (t, text, flags = []) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-limits-'))
  const file = path.join(folder, 'stan.conf')
  fs.writeFileSync(file, text)
  const server = await Server.start(['-sc', file, ...flags])
  t.after(async () => {
    await server.stop()
    fs.rmSync(folder, { recursive: true })
  })
  server.configure = (again) => fs.writeFileSync(file, again)
  return server
}

/** Waits until these are the first messages of a channel: what a limit drops goes a little later. */
async function begins (client, channel, wanted) {
  await until(async () => {
    const subscription = await subscribe(client, channel, { all: true })
    const got = await subscription.queue.take(wanted.length)
    await ended(subscription, 'unsubscribe')
    return got.every((one, i) => one.data === wanted[i])
  }, `${channel} begins with ${wanted}`)
}

test('ST-C15 a channel has the limits of the narrowest name it falls under, and inherits the others', async (t) => {
  const server = await start(t, `streaming { store_limits { max_subs: 2, channels {
    "jobs.>" { max_msgs: 2 }
    "jobs.*" { max_subs: 1 }
    "jobs.all" { max_msgs: 0 } } } }`)
  const client = await connect(t, server)
  for (const data of ['a', 'b', 'c']) {
    for (const channel of ['jobs.x', 'jobs.x.y', 'jobs.all', 'other']) await publish(client, channel, data)
  }
  await begins(client, 'jobs.x', ['b', 'c'])
  await begins(client, 'jobs.x.y', ['b', 'c'])
  await begins(client, 'jobs.all', ['a', 'b', 'c'])
  await begins(client, 'other', ['a', 'b', 'c'])
  await subscribe(client, 'jobs.x')
  await subscribe(client, 'other')
  await subscribe(client, 'other')
  for (const channel of ['jobs.x', 'other']) {
    const subscription = client.subscribe(channel, client.subscriptionOptions())
    const error = await new Promise((resolve) => subscription.once('error', resolve))
    assert.match(String(error.message || error), /too many subscriptions per channel/)
  }
})

test('ST-C15 a reload, or a start, with other limits changes the channels that are there', async (t) => {
  const server = await start(t, 'streaming { store_limits { channels { a { max_msgs: 5 } } } }')
  const client = await connect(t, server)
  for (const data of '12345') await publish(client, 'a', data)
  server.configure('streaming { store_limits { channels { a { max_msgs: 3 } } } }')
  server.child.kill('SIGHUP')
  await server.logged(/Reloaded: streaming\.store_limits/)
  await begins(client, 'a', ['3', '4', '5'])
  server.configure('streaming { store_limits { max_msgs: 1 } }')
  await server.restart('SIGTERM')
  await publish(client, 'b', 'x')
  await begins(client, 'a', ['5'])
  server.configure('streaming { store_limits { max_msgs: 1, max_channels: 5 } }')
  server.child.kill('SIGHUP')
  await server.logged(/reload not supported for streaming\.store_limits\.max_channels/)
})

test('ST-B20 discard: new keeps what nobody has finished, and refuses what comes', async (t) => {
  const server = await start(t, 'streaming { store_limits { channels { "work.>" { max_msgs: 2, discard: new } } } }')
  const client = await connect(t, server)
  const worker = await subscribe(client, 'work.a', { durable: 'd', manual: true })
  await publish(client, 'work.a', '1')
  await publish(client, 'work.a', '2')
  assert.match(await refusal(publish(client, 'work.a', '3')), /stan: .*full/)
  const [first] = await worker.queue.take(1)
  first.ack()
  await until(async () => {
    try { await publish(client, 'work.a', '3') } catch (error) { return false }
    return true
  }, 'there is room for a message')
})

test('ST-E17 with partitioning, channels that are not named are served too, and the log says so', async (t) => {
  const server = await start(t, 'streaming { partitioning: true, store_limits { channels { a {} } } }')
  const client = await connect(t, server)
  await publish(client, 'another', 'x')
  await begins(client, 'another', ['x'])
  assert.strictEqual(server.log.split('partitioning has no effect').length, 2)
})

test('ST-E22 names that differ in case only are two channels', async (t) => {
  const server = await start(t, 'streaming { }')
  const client = await connect(t, server)
  await publish(client, 'Jobs', 'upper')
  await publish(client, 'jobs', 'lower')
  await begins(client, 'Jobs', ['upper'])
  await begins(client, 'jobs', ['lower'])
})

test('ST-B21 a channel that nobody uses goes, one with a subscription stays', async (t) => {
  const server = await start(t, 'streaming { store_limits { max_inactivity: "1s" } }')
  const client = await connect(t, server)
  await publish(client, 'idle', 'old')
  const subscription = await subscribe(client, 'used', { durable: 'd', all: true })
  await publish(client, 'used', 'old')
  await subscription.queue.next()
  await ended(subscription, 'close')
  await server.logged(/Channel "idle" has been deleted/)
  const again = await subscribe(client, 'idle', { all: true })
  await publish(client, 'idle', 'new')
  assert.deepStrictEqual((await again.queue.take(1)).map((one) => [one.sequence, one.data]), [[1, 'new']])
  await publish(client, 'used', 'new')
  const resumed = await subscribe(client, 'used', { durable: 'd' })
  assert.deepStrictEqual((await resumed.queue.take(1)).map((one) => [one.sequence, one.data]), [[2, 'new']])
  assert.doesNotMatch(server.log, /Channel "used" has been deleted/)
})

test('ST-B06 replace_durable: the new subscription takes over, with what the old one held', async (t) => {
  const server = await start(t, 'streaming { replace_durable: true }')
  const client = await connect(t, server)
  for (const data of 'ab') await publish(client, 'a', data)
  const old = await subscribe(client, 'a', { durable: 'd', all: true, manual: true })
  const [first] = await old.queue.take(2)
  first.ack()
  const fresh = await subscribe(client, 'a', { durable: 'd', manual: true })
  const [held] = await fresh.queue.take(1)
  assert.deepStrictEqual([held.data, held.redelivered], ['b', true])
  held.ack()
  await publish(client, 'a', 'c')
  assert.deepStrictEqual((await fresh.queue.take(1)).map((one) => one.data), ['c'])
  assert.strictEqual(old.queue.items.length, 0)
})

test('ST-C02 another discover_prefix', async (t) => {
  const server = await start(t, 'streaming { discover_prefix: my.discover }')
  const client = await connect(t, server, { discoverPrefix: 'my.discover' })
  await publish(client, 'a', 'x')
  assert.strictEqual(client.pingRequests, 'my.discover.test-cluster.pings')
})

run()
