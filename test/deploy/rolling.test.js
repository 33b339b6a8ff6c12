// SPDX-License-Identifier: Apache-2.0
// UC-17: a rolling restart of deploy/kubernetes/three-servers under load, played as Kubernetes does it to a StatefulSet: the last pod first, each
// with preStop, SIGTERM and its grace period, started again on its volume, and the next when it is ready; without waiting minReadySeconds, which
// is harder. Publishers are unmodified node-nats-streaming, the workers those of deploy/kubernetes/worker: `weir work` as the Deployment runs it, and worker.js.
'use strict'

const assert = require('assert')
const { spawn } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const stan = require('../conformance/node_modules/node-nats-streaming')
const { CLUSTER, startPod, startWorker, startOwnWorker } = require('./lib/fleet')
const { USERS } = require('./lib/pod')
const { get } = require('../conformance/lib/page')
const { connect, subscribe } = require('../conformance/lib/stan_client')
const { test, run } = require('../conformance/lib/tap')
const { until, within } = require('../conformance/lib/wait')

const PUBLISHERS = 4 // loops, each with one publish under way
const PAUSE_MS = 10 // between two of a loop
const KEPT = 300 // jobs that nobody asks for until the restarts are over
const PUBLISH_LIMIT_MS = 30000 // within which the fleet takes a job, or publishing has failed

/** What the kubelet does to one pod; gives how long it took, in seconds. */
async function restartPod (server) {
  const { pod } = server
  const begin = performance.now()
  const [, ...command] = pod.container.lifecycle.preStop.exec.command
  command[command.length - 1] += `=${server.child.pid}` // in its container it is the only one
  const preStop = spawn(server.program, command, { stdio: 'inherit' })
  assert.strictEqual(await new Promise((resolve) => preStop.once('close', resolve)), 0)
  server.child.kill('SIGTERM')
  const unready = until(async () => (await ask(server, 'readiness')) === 503, 'it leaves its services')
  const { code } = await within(server.ended, 'the pod ends by itself', pod.spec.terminationGracePeriodSeconds * 1000)
  assert.strictEqual(code, 0, server.log)
  await unready
  await server.onDown()
  await server.launch()
  for (const probe of ['startup', 'readiness']) await until(async () => (await ask(server, probe)) === 200, probe, 60000)
  return (performance.now() - begin) / 1000
}

/** The status that a probe gets; 0: nothing answers. */
async function ask (server, probe) {
  try { return (await get(server.pod.probe(probe).httpGet.path, server)).status } catch (error) { return 0 }
}

/** Publishes to one of three servers at random, and to another if that fails. A job counts when one of them has acknowledged it. */
class FleetPublisher {
  constructor (urls) {
    this.accepted = []
    this.retries = 0
    this.slowest = 0
    this.members = urls.map((url, index) => ({ url, index }))
    this.members.forEach((member) => this.connect(member))
  }

  connect (member) {
    const client = stan.connect(CLUSTER, `publisher-${member.index}`, {
      url: member.url, user: 'app', pass: USERS.app, ackTimeout: 2000, waitOnFirstConnect: true, maxReconnectAttempts: -1, reconnectTimeWait: 100
    })
    member.client = client
    const here = (is) => () => { if (member.client === client) member.here = is }
    client.on('connect', here(true))
    client.on('reconnect', here(true))
    client.on('disconnect', here(false))
    const again = () => {
      if (member.client !== client || this.over) return
      member.here = false
      member.client = undefined
      if (client.nc) client.nc.close()
      setTimeout(() => this.connect(member), 200)
    }
    client.on('error', again)
    client.on('connection_lost', again)
  }

  /** One attempt at one server. */
  attempt ({ client }, channel, job) {
    return new Promise((resolve, reject) => {
      client.publish(channel, job, (error) => (error ? reject(error) : resolve()))
    })
  }

  async publish (channel, job) {
    const begin = performance.now()
    for (let tried; performance.now() - begin < PUBLISH_LIMIT_MS;) {
      const here = this.members.filter((member) => member.here && (member !== tried || this.members.filter((one) => one.here).length === 1))
      if (here.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        continue
      }
      tried = here[Math.floor(Math.random() * here.length)]
      try {
        await this.attempt(tried, channel, job)
        this.slowest = Math.max(this.slowest, performance.now() - begin)
        return
      } catch (error) {
        this.retries++
      }
    }
    throw new Error(`job ${job}: no server took it`)
  }

  /** Publishes until stop(); rejects when a publish fails. */
  async run () {
    let number = 0
    const loop = async () => {
      while (!this.over) {
        const job = String(++number)
        await this.publish('training.jobs', job)
        this.accepted.push(job)
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      }
    }
    await Promise.all(Array.from({ length: PUBLISHERS }, loop))
  }

  close () {
    this.over = true
    for (const { client } of this.members) {
      if (!client) continue
      clearTimeout(client.pingTimer) // it would ping over the closed connection
      if (client.nc) client.nc.close()
    }
  }
}

test('UC-17 a rolling restart under load loses no job, and no publish fails', { alone: true, seconds: 220 }, async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-rolling-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  const servers = await Promise.all([0, 1, 2].map((ordinal) => startPod(ordinal, path.join(folder, String(ordinal)))))
  t.after(() => Promise.all(servers.map((server) => server.stop())))
  const urls = servers.map((server) => server.url)
  const done = new Map()
  const workers = [startWorker(urls, 'worker-a', done), startOwnWorker(urls, 'worker-b', done)]
  t.after(() => workers.forEach((worker) => worker.child.kill('SIGKILL')))
  const publisher = new FleetPublisher(urls)
  t.after(() => publisher.close())
  const load = publisher.run()
  load.catch(() => {}) // reported when it is awaited
  await until(() => done.size > 100, 'jobs are worked off', 60000)
  const kept = Array.from({ length: KEPT }, (_, i) => `kept ${i}`)
  for (const job of kept) await publisher.publish('kept.jobs', job)

  for (const server of servers.slice().reverse()) {
    // While it is down jobs are taken, by the others.
    server.onDown = async () => {
      const before = publisher.accepted.length
      await until(() => publisher.accepted.length > before + 20, 'the other servers take jobs', 60000)
    }
    const took = await restartPod(server)
    console.log(`# ${server.pod.name}: away and back in ${took.toFixed(1)} s`)
  }
  const before = done.size
  await until(() => done.size > before + 100, 'jobs are worked off after the restarts', 60000)
  publisher.over = true
  await load
  await until(() => publisher.accepted.every((job) => done.has(job)), 'each job that was accepted is worked off', 60000)
    .catch((error) => { throw new Error(`${error.message}: ${publisher.accepted.filter((job) => !done.has(job)).length} of ${publisher.accepted.length} are not\n${workers.map((worker) => worker.log).join('')}`) })
  const again = [...done.values()].filter((times) => times > 1).length
  console.log(`# ${publisher.accepted.length} jobs, ${publisher.retries} attempts repeated, the slowest publish took ${Math.round(publisher.slowest)} ms, ${again} jobs done again`)

  const found = new Set()
  for (const server of servers) {
    const client = await connect(t, server, { cluster: CLUSTER, user: 'app', pass: USERS.app })
    const { queue } = await subscribe(client, 'kept.jobs', { all: true })
    queue.push = (message) => found.add(message.data)
    for (const message of queue.items.splice(0)) found.add(message.data)
  }
  await until(() => kept.every((job) => found.has(job)), 'what waited all the time is there', 60000)

  for (const worker of workers) worker.child.kill('SIGTERM')
  for (const worker of workers) assert.deepStrictEqual(await within(worker.ended, 'the worker goes'), { code: 0, signal: null }, worker.log)
})

run()
