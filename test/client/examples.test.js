// SPDX-License-Identifier: Apache-2.0
// The programs of examples/ against a server, and the numbers that they print.
'use strict'

const assert = require('assert')
const { spawn } = require('child_process')
const path = require('path')
const { test, run } = require('../conformance/lib/tap')
const { Server, program } = require('../conformance/lib/server')
const { within } = require('../conformance/lib/wait')

const build = process.env.BUILD || path.dirname(program)
let server

/** What it prints, when it has ended well. */
async function output (name, args, wanted = 0) {
  const child = spawn(path.join(build, 'examples', name), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  let errors = ''
  child.stdout.on('data', (data) => { text += data })
  child.stderr.on('data', (data) => { errors += data })
  const code = await within(new Promise((resolve) => child.once('close', resolve)), name, 35000)
  assert.strictEqual(code, wanted, errors)
  return text + errors
}

test('slow_consumer prints true numbers until everything is done', async () => {
  const text = await output('slow_consumer', ['--server', server.url, '--seconds', '1'])
  const series = (name) => [...text.matchAll(new RegExp(`${name} (\\d+)`, 'g'))].map((match) => Number(match[1]))
  assert.deepStrictEqual([...text.matchAll(/working on (job \d+)/g)].map((match) => match[1]), Array.from({ length: 10 }, (_, i) => `job ${i + 1}`))
  const [pending, bytes, backlog, waiting, age] = ['pending_messages', 'pending_bytes', 'backlog_messages', 'backlog_bytes', 'backlog_oldest_ms'].map(series)
  assert.ok(backlog[0] >= 9 && backlog[0] <= 10, `${backlog}`)
  assert.ok(pending.every((count, i) => count <= 4 && count <= backlog[i] + 1), `${pending}; ${backlog}`)
  assert.ok(pending[0] >= 1)
  for (let i = 1; i < backlog.length; i++) assert.ok(backlog[i] <= backlog[i - 1], `${backlog}`)
  assert.strictEqual(backlog.at(-1), 0)
  assert.deepStrictEqual([pending.at(-1), bytes.at(-1), waiting.at(-1), age.at(-1)], [0, 0, 0, 0])
  for (const [i, count] of backlog.entries()) assert.ok(waiting[i] >= 5 * count, `${waiting}`)
  assert.ok(Math.max(...age) >= 500)
})

test('slow_consumer that is called wrongly says how, and publishes nothing', async () => {
  for (const args of [['--help'], ['--server'], ['5']]) assert.match(await output('slow_consumer', args, 2), /^Usage: slow_consumer/)
})

run({
  before: async () => { server = await Server.start() },
  after: () => server.stop()
})
