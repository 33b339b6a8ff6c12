// SPDX-License-Identifier: Apache-2.0
// deploy/kubernetes as processes of this machine: its servers, and the worker of its example.
'use strict'

const assert = require('assert')
const { spawn } = require('child_process')
const path = require('path')
const { FOLDER } = require('./kubectl')
const { Pod, USERS } = require('./pod')
const { Server } = require('../../conformance/lib/server')

const CLUSTER = 'weir'

/** Pod `ordinal` as a process of this machine: its arguments and configuration, but ports of its own on 127.0.0.1, and a folder for its volume. */
async function startPod (ordinal, folder) {
  const pod = new Pod('three-servers', ordinal)
  pod.writeConfig(folder)
  const args = pod.args().map((arg) => arg.replace('/etc/weir/', `${folder}/`))
  assert.strictEqual(args.shift(), 'serve')
  const server = await Server.start(args, { http: true })
  server.pod = pod
  return server
}

/** worker.js as the Deployment runs it; `done`: how often each job was worked off. */
function startWorker (urls, id, done) {
  const child = spawn(process.execPath, [path.join(FOLDER, 'worker/worker.js')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_PATH: path.join(__dirname, '../../conformance/node_modules'), WEIR_URLS: urls.join(','), WEIR_CLUSTER: CLUSTER, WORKER_ID: id, WEIR_USER: 'app', WEIR_PASSWORD: USERS.app }
  })
  const worker = { child, log: '' }
  let rest = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      const [, job] = /^job (\d+)$/.exec(line)
      done.set(job, (done.get(job) || 0) + 1)
    }
  })
  child.stderr.on('data', (text) => { worker.log += text })
  worker.ended = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })))
  return worker
}

module.exports = { CLUSTER, startPod, startWorker }
