// SPDX-License-Identifier: Apache-2.0
// The ScaledObjects of deploy/kubernetes beside the servers and the worker that they are for: what KEDA's two scalers compute from them.
'use strict'

const assert = require('assert')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { CLUSTER, startPod, startWorker } = require('./lib/fleet')
const { pick, render } = require('./lib/kubectl')
const { USERS } = require('./lib/pod')
const { kedaJetstream, kedaStan } = require('../conformance/lib/keda')
const { connect, publish } = require('../conformance/lib/stan_client')
const { test, run } = require('../conformance/lib/tap')
const { until, within } = require('../conformance/lib/wait')

const JOBS = 25

test('TL-01 TL-10 both scalers see the jobs that wait for the worker of the example, and that it has done them', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-keda-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  const server = await startPod(0, folder)
  t.after(() => server.stop())
  const stan = () => kedaStan(server, pick(render('keda-stan'), 'ScaledObject').spec.triggers[0].metadata)
  const jetstream = () => kedaJetstream(server, pick(render('keda'), 'ScaledObject').spec.triggers[0].metadata)
  assert.deepStrictEqual(await stan(), { active: false, lag: 0 })
  await assert.rejects(jetstream(), /not there/) // before there was a worker: one always stays with this scaler

  const done = new Map()
  const begin = () => {
    const worker = startWorker([server.url], 'worker-a', done)
    t.after(() => worker.child.kill('SIGKILL'))
    return worker
  }
  const first = begin()
  await until(() => jetstream().then(() => true, () => false), 'the worker has subscribed')
  first.child.kill('SIGTERM')
  assert.deepStrictEqual(await within(first.ended, 'the worker goes'), { code: 0, signal: null }, first.log)

  const client = await connect(t, server, { cluster: CLUSTER, user: 'app', pass: USERS.app })
  await Promise.all(Array.from({ length: JOBS }, (_, i) => publish(client, 'training.jobs', String(i))))
  assert.deepStrictEqual([await stan(), await jetstream()], [{ active: true, lag: JOBS }, { active: true, lag: JOBS }])

  begin()
  await until(() => done.size === JOBS, 'the jobs are done')
  await until(async () => (await jetstream()).lag === 0, 'and acknowledged')
  assert.deepStrictEqual([await stan(), await jetstream()], [{ active: false, lag: 0 }, { active: false, lag: 0 }])
})

run()
