// SPDX-License-Identifier: Apache-2.0
// A data directory of a version that knew neither the records of deaths nor those of what is given back: it opens, everybody goes on,
// and the newer records follow the older ones.
'use strict'

const assert = require('assert')
const { execFileSync } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { test, run } = require('./lib/tap')
const { Server, program } = require('./lib/server')
const { StanClient } = require('./lib/stan')
const { until } = require('./lib/wait')

const STORE = path.join(__dirname, 'recorded/weir-data-level-1.tar.gz')

test('a directory of an older version opens, and takes newer records', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-older-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  execFileSync('tar', ['-xzf', STORE, '-C', directory])
  const server = await Server.start(['--dir', path.join(directory, 'data')])
  t.after(() => server.stop())
  const client = await StanClient.connect(server)
  t.after(() => client.leave())
  const all = await (await client.subscribe('jobs')).queue.take(20)
  assert.deepStrictEqual(all.map((one) => one.data), Array.from({ length: 20 }, (_, i) => `job ${i + 1}`))
  // 1, 2 and 5 were acknowledged, 3 to 11 without these are out with a client that is gone.
  const group = await client.subscribe('jobs', { qGroup: 'workers', durableName: 'd' })
  const got = await group.queue.take(17)
  const again = got.filter((one) => one.redelivered).map((one) => one.sequence).sort((a, b) => a - b)
  assert.deepStrictEqual(again, [3, 4, 6, 7, 8, 9, 10, 11])
  assert.ok(got.filter((one) => one.redelivered).every((one) => one.count === 1))
  client.nc.publish(group.ackInbox, '+TERM 3 too old')
  client.nc.publish(group.ackInbox, '-NAK 4 {"count": false, "delay": "1h"}')
  await client.publish('jobs', 'job 21')
  await server.restart('SIGKILL')
  const next = await StanClient.connect(server)
  t.after(() => next.leave())
  const resumed = await next.subscribe('jobs', { qGroup: 'workers', durableName: 'd' })
  await until(() => resumed.queue.length >= 16, 'all that is neither dead nor delayed')
  const sequences = (await resumed.sequences(16)).sort((a, b) => a - b)
  assert.deepStrictEqual(sequences, [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21])
  await server.stop()
  const check = execFileSync(program, ['check', path.join(directory, 'data')], { encoding: 'utf8' })
  for (const kind of ['dead', 'returned']) assert.match(check, new RegExp(`\\(${kind}\\): 1`))
  assert.match(check, /no problems/)
})

run({})
