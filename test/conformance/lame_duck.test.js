// SPDX-License-Identifier: Apache-2.0
// A server that goes, seen by the official client: it hears of it, moves to the other server while the connection still works, and
// loses nothing (CO-P17).
'use strict'

const assert = require('assert')
const nats = require('nats')
const { Server } = require('./lib/server')
const { test, run } = require('./lib/tap')
const { until } = require('./lib/wait')

const QUICK = ['--lame_duck_duration', '1500ms', '--lame_duck_grace_period', '500ms']

/** The client's events, as they come. */
function watch (connection) {
  const events = []
  ;(async () => { for await (const status of connection.status()) events.push(status.type) })()
  return events
}

test('CO-P17 clients of a lame duck go to the other server and lose nothing', { alone: true }, async (t) => {
  const old = await Server.start(QUICK)
  const other = await Server.start([])
  try {
    const options = { servers: [old.url, other.url], noRandomize: true, reconnectTimeWait: 20, maxReconnectAttempts: -1 }
    const worker = await nats.connect(options)
    const events = watch(worker)
    const got = []
    worker.subscribe('jobs', { callback: (error, message) => { assert.ifError(error); got.push(message.string()) } })
    await worker.flush()
    const publisher = await nats.connect({ ...options, name: 'publisher' })
    const publisherEvents = watch(publisher)
    publisher.publish('jobs', 'before')
    await publisher.flush()
    await until(() => got.length === 1, 'the first job arrives')

    old.child.kill('SIGUSR2')
    await until(() => events.includes('ldm'), 'the client hears of it')
    publisher.publish('jobs', 'meanwhile')
    await publisher.flush()
    await until(() => got.length === 2, 'the server still serves')
    await until(() => events.includes('reconnect'), 'the client moves')
    const { code } = await old.ended
    assert.strictEqual(code, 0)
    await until(() => publisherEvents.includes('reconnect'), 'so does the publisher')
    await worker.flush()
    publisher.publish('jobs', 'after')
    await until(() => got.length === 3, 'the other server serves')
    assert.deepStrictEqual(got, ['before', 'meanwhile', 'after'])
    await worker.close()
    await publisher.close()
  } finally {
    await old.stop()
    await other.stop()
  }
})

run()
