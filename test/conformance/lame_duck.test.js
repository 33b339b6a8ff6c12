// SPDX-License-Identifier: Apache-2.0
// A server that goes, seen by the official client: it hears of it, moves to the other server while the connection still works, and
// loses nothing (CO-P17).
'use strict'

const assert = require('assert')
const fs = require('fs')
const os = require('os')
const path = require('path')
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

test('CO-Y33, CO-Y36 the system account hears once that the server goes, and that it stops', { alone: true }, async (t) => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'weir-lame-duck-')), 'server.conf')
  t.after(() => fs.rmSync(path.dirname(file), { recursive: true }))
  fs.writeFileSync(file, 'accounts { A { users: [{user: a, password: a}] }, SYS { users: [{user: s, password: s}] } }\nsystem_account: SYS\n')
  const server = await Server.start(['-c', file, '--lame_duck_duration', '120s', '--lame_duck_grace_period', '60s'])
  t.after(() => server.stop())
  const got = { plain: [], group: [] }
  const listen = async (name, options) => {
    const connection = await nats.connect({ servers: server.url, user: 's', pass: 's', reconnect: false })
    connection.subscribe('$SYS.SERVER.*.*', {
      ...options,
      callback: (error, message) => { if (!error) got[name].push(message.subject.split('.').pop()) }
    })
    await connection.flush()
  }
  // More than there are workers, so that each worker has one of each kind.
  for (let i = 0; i < 6; i++) await listen('plain', {})
  for (let i = 0; i < 6; i++) await listen('group', { queue: 'watchers' })
  const told = (name, event) => got[name].filter((one) => one === event).length
  server.child.kill('SIGUSR2')
  await until(() => told('plain', 'LAMEDUCK') === 6 && told('group', 'LAMEDUCK') === 1, 'all hear of it')
  server.child.kill('SIGINT')
  const { code } = await server.ended
  assert.strictEqual(code, 0)
  // What is in the connections when the server has gone is read before their end.
  await until(() => told('plain', 'SHUTDOWN') === 6 && told('group', 'SHUTDOWN') === 1, 'all hear the end')
  assert.deepStrictEqual([told('plain', 'LAMEDUCK'), told('group', 'LAMEDUCK')], [6, 1])
})

run()
