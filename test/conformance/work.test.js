// SPDX-License-Identifier: Apache-2.0
// `weir work` and `weir enqueue` beside unmodified clients: each takes the other's jobs.
'use strict'

const assert = require('assert')
const { execFile, spawn } = require('child_process')
const { test, run } = require('./lib/tap')
const { Server, program } = require('./lib/server')
const { connect, publish, subscribe } = require('./lib/stan_client')
const { until, unique, within } = require('./lib/wait')

let server

function enqueue (channel, input) {
  return within(new Promise((resolve, reject) => {
    const child = execFile(program, ['enqueue', '-s', server.url, '--lines', channel], (error, out, err) => error ? reject(new Error(err)) : resolve(out))
    child.stdin.end(input)
  }), 'weir enqueue', 30000)
}

/** A worker that prints what it gets; `lines()` are those whole so far. */
function work (t, channel, group, ...command) {
  const child = spawn(program, ['work', channel, '--group', group, '-q', '-s', server.url, '--', ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (data) => { text += data })
  t.after(() => { child.kill('SIGKILL') })
  return { child, lines: () => text.split('\n').slice(0, -1) }
}

test('what weir enqueue stores comes to node-nats-streaming, in order', async (t) => {
  const channel = unique('jobs')
  await enqueue(channel, 'one\ntwö\nthree\n')
  const subscription = await subscribe(await connect(t, server), channel, { group: 'g', durable: 'd', all: true })
  const taken = []
  for (let i = 0; i < 3; i++) taken.push(await subscription.queue.next())
  assert.deepStrictEqual(taken.map((one) => one.data), ['one', 'twö', 'three'])
})

test('what node-nats-streaming publishes comes to weir work', async (t) => {
  const channel = unique('jobs')
  const client = await connect(t, server)
  for (const data of ['a', 'b', 'c']) await publish(client, channel, data)
  const worker = work(t, channel, 'g', 'sh', '-c', 'echo "$WEIR_SEQUENCE $(cat)"')
  await until(() => worker.lines().length === 3, 'all are worked on')
  assert.deepStrictEqual(worker.lines(), ['1 a', '2 b', '3 c'])
})

test('weir work and node-nats-streaming share the jobs of a group; stopped, it leaves the rest to the client', async (t) => {
  const channel = unique('jobs')
  const client = await connect(t, server)
  const subscription = await subscribe(client, channel, { group: 'g', durable: 'g', manual: true, maxInFlight: 1, all: true })
  const worker = work(t, channel, 'g', 'sh', '-c', 'echo "$(cat)"')
  const sent = Array.from({ length: 20 }, (_, i) => `job-${i}`)
  const taken = []
  subscription.on('message', (job) => {
    taken.push(job.getData())
    job.ack()
    if (taken.length === 2) worker.child.kill('SIGTERM')
  })
  for (const data of sent) await publish(client, channel, data)
  await until(() => new Set([...taken, ...worker.lines()]).size === 20, 'all are worked on')
  assert(taken.length > 0)
  assert.deepStrictEqual([...new Set([...taken, ...worker.lines()])].sort(), sent.sort())
})

run({
  before: async () => { server = await Server.start([]) },
  after: () => server.stop()
})
