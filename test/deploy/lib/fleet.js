// SPDX-License-Identifier: Apache-2.0
// deploy/kubernetes as processes of this machine: its servers, and the workers of its example.
'use strict'

const assert = require('assert')
const { spawn } = require('child_process')
const path = require('path')
const { FOLDER, pick, render } = require('./kubectl')
const { Pod, USERS } = require('./pod')
const { Server, program } = require('../../conformance/lib/server')

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

const COMMAND = ['/bin/sh', '-c', 'read -r job; echo "job $job"']

/** The container of the Deployment's worker: its arguments, but for these servers and this command. */
function startWorker (urls, id, done) {
  const { args } = pick(render('worker'), 'Deployment').spec.template.spec.containers[0]
  const env = { WEIR_USER: 'app', WEIR_PASSWORD: USERS.app }
  const words = args.slice(0, args.indexOf('--') + 1).map((arg) => arg.replace(/\$\((\w+)\)/g, (_, name) => env[name]))
  words[words.indexOf('--servers') + 1] = urls.join(',')
  words[words.indexOf('--http') + 1] = '127.0.0.1:0'
  words.splice(1, 0, '--client_id', id)
  return watch(spawn(program, [...words, ...COMMAND], { stdio: ['ignore', 'pipe', 'pipe'] }), done)
}

/** worker.js, the one that needs no `weir work`. */
function startOwnWorker (urls, id, done) {
  return watch(spawn(process.execPath, [path.join(FOLDER, 'worker/worker.js')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_PATH: path.join(__dirname, '../../conformance/node_modules'), WEIR_URLS: urls.join(','), WEIR_CLUSTER: CLUSTER, WORKER_ID: id, WEIR_USER: 'app', WEIR_PASSWORD: USERS.app }
  }), done)
}

/** `done`: how often each job was worked off. */
function watch (child, done) {
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

module.exports = { CLUSTER, startPod, startWorker, startOwnWorker }
