// SPDX-License-Identifier: Apache-2.0
// UC-17: the probes of deploy/kubernetes and a server that takes long to recover: killed while it was busy, on a disk on which each sync of its
// start lasts (test/powercut's shim), with the kubelet's time running faster.
'use strict'

const assert = require('assert')
const { spawn } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { Kubelet } = require('./lib/kubelet')
const { Pod } = require('./lib/pod')
const { get } = require('../conformance/lib/page')
const { Server } = require('../conformance/lib/server')
const { StanClient } = require('../conformance/lib/stan')
const { test, run } = require('../conformance/lib/tap')
const { until, within } = require('../conformance/lib/wait')

const SPEED = 60 // a minute of the cluster in a second
const DELAY_MS = 1000 // of each sync
const SHIM = path.join(process.env.BUILD || path.join(__dirname, '../../build'), 'test/powercut/libpowercut.so')
const JOBS = 5000

const { container } = new Pod('one-server')
const PROBES = { startup: container.startupProbe, liveness: container.livenessProbe, readiness: container.readinessProbe }

/** A kubelet that asks `server`, which need not be there. */
function kubelet (server, probes) {
  return new Kubelet(probes, async (page) => {
    try { return (await get(page, server)).status } catch (error) { return 0 }
  }, SPEED)
}

/** Killed while it stores jobs; with its directory, its port and its monitoring port. */
async function killedServer (t) {
  const server = await Server.start(['-mb', '0', '--threads', '1'], { http: true })
  t.after(() => server.stop())
  const client = await StanClient.connect(server)
  const payload = 'x'.repeat(4000)
  for (let i = 0; i < JOBS; i += 500) await client.store('jobs', ...Array(500).fill(payload))
  server.child.kill('SIGKILL')
  await server.ended
  await client.leave()
  return server
}

/** The same again, on a slow disk. */
function startSlowly (t, server) {
  const data = path.join(server.directory, 'data')
  const delay = path.join(server.directory, 'delay')
  fs.writeFileSync(delay, String(DELAY_MS))
  const env = { ...process.env, LD_PRELOAD: SHIM, POWERCUT_DIR: fs.realpathSync(data), POWERCUT_JOURNAL: path.join(server.directory, 'journal'), POWERCUT_DELAY: delay }
  const child = spawn(server.program, ['serve', '--dir', data, '-a', '127.0.0.1', '-p', String(server.port), '-m', String(server.httpPort), '-mb', '0'], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const slow = { child, log: '', delay, ended: new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal }))) }
  child.stderr.on('data', (text) => { slow.log += text })
  t.after(() => child.kill('SIGKILL'))
  return slow
}

test('UC-17 a server that recovers is not killed; by a liveness probe alone it would be', { alone: true, seconds: 120 }, async (t) => {
  const server = await killedServer(t)
  const slow = startSlowly(t, server)
  const ours = kubelet(server, PROBES)
  const usual = kubelet(server, { liveness: { ...PROBES.liveness, periodSeconds: 10, failureThreshold: 3 }, readiness: PROBES.readiness })
  for (const one of [ours, usual]) {
    one.run()
    t.after(() => one.stop())
  }
  await until(() => usual.killed, 'the usual liveness probe kills it', 30000)
  assert.ok(!/Ready for clients/.test(slow.log), slow.log)
  assert.deepStrictEqual([ours.started, ours.ready, ours.probes.liveness.asked, ours.probes.readiness.asked], [false, false, 0, 0])
  assert.ok(ours.probes.startup.asked > 1)

  await until(() => ours.started, 'it starts', 60000)
  fs.rmSync(slow.delay)
  await until(() => ours.ready, 'it is ready', 60000)
  await until(() => ours.probes.liveness.asked > 3, 'its liveness is asked')
  assert.ok(!ours.killed)
  assert.match(slow.log, /Ready for clients/)
  const client = await StanClient.connect(server)
  assert.strictEqual((await client.publish('jobs', 'after')).error, '')
  await client.leave()
  slow.child.kill('SIGTERM')
  assert.deepStrictEqual(await within(slow.ended, 'it stops', 30000), { code: 0, signal: null })
})

run()
