#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Chaos: producers and groups of workers, each a process of its own, while the server and the workers are killed with kill -9 at
// random moments and started again, ROUNDS times, about one a second; the server also while it recovers. At the end everything that
// is owed must arrive, and the journals of all processes are checked (chaos_checker.js). What is killed when follows from SEED.
//
//   node test/e2e/chaos.js              WEIR, ROUNDS (20), SEED, KEEP=1 keeps the directory
//   node test/e2e/chaos.js --self-test  shows with made-up journals that the checker sees what it is for
'use strict'

const { fork, spawnSync } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { Server } = require('../conformance/lib/server')
const { StanClient } = require('../conformance/lib/stan')
const { until } = require('../conformance/lib/wait')
const { now, readJournal, random, readPayload } = require('./chaos_common')
const { check } = require('./chaos_checker')
const { selfTest } = require('./chaos_checker_test')

const ROUNDS = Number(process.env.ROUNDS || 20)
const SEED = Number(process.env.SEED || Date.now() % 1000000000)
const GRACE_MS = 1000
// The lazy group falls behind by some 200 messages a round, and finishes about 375 a second.
const DRAIN_MS = Math.max(60000, ROUNDS * 2000)
// A group of single processes, one of three members on one connection, and one that often forgets to acknowledge.
const CREWS = [
  { group: 'apart', channel: 'jobs', processes: 3, members: 1, ackWait: 6, lazy: 0 },
  { group: 'together', channel: 'jobs', processes: 1, members: 3, ackWait: 6, lazy: 0 },
  { group: 'lazy', channel: 'events', processes: 2, members: 1, ackWait: 1, lazy: 0.05 }
]
const PRODUCERS = [
  { name: 'plain', kind: 'plain', channel: 'jobs' },
  { name: 'retry', kind: 'retry', channel: 'jobs' },
  { name: 'events', kind: 'plain', channel: 'events' }
]

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

class Chaos {
  constructor () {
    this.chance = random(SEED)
    this.runs = []
    this.processes = [] // all that ever were
    this.wrong = []
    this.ending = false
  }

  async start () {
    process.env.TMPDIR = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-chaos-'))
    this.server = await Server.start(['--disconnect_grace', `${GRACE_MS}ms`, '--log_bytes', '16M', '-hbi', '1h'], { http: true })
    this.noteRun()
    this.files = path.join(this.server.directory, 'journals')
    fs.mkdirSync(this.files)
    for (const producer of PRODUCERS) this.launch('chaos_producer.js', { ...producer, retries: producer.kind === 'retry' })
    for (const crew of CREWS) for (let i = 0; i < crew.processes; i++) this.launch('chaos_worker.js', crew)
    await until(() => this.processes.every((one) => one.ready), 'all processes work')
  }

  noteRun () {
    this.runs.push({ id: /Server id (\w+)/.exec(this.server.log)[1], killed: Infinity })
  }

  launch (script, what) {
    const name = what.name || `${what.group}-${this.processes.length}`
    const file = path.join(this.files, name)
    const seed = Math.floor(this.chance() * 4294967296)
    const words = script === 'chaos_worker.js'
      ? [this.server.url, file, name, what.channel, what.group, what.members, what.ackWait, what.lazy, seed]
      : [what.kind, this.server.url, file, name, what.channel, seed]
    const one = { ...what, name, file, script, began: now(), ended: undefined }
    one.child = fork(path.join(__dirname, script), words.map(String))
    one.child.on('message', () => { one.ready = true })
    one.exited = new Promise((resolve) => one.child.once('exit', (code, signal) => {
      if (one.ended === undefined) one.ended = now()
      this.onExit(one, code, signal)
      resolve()
    }))
    this.processes.push(one)
  }

  // A worker whose request was cut off by a kill of the server gives up and is started again, as a supervisor would.
  onExit (one, code, signal) {
    if (signal === 'SIGKILL' || this.ending) return
    const killedMeanwhile = this.runs.some((run) => run.killed > one.began && run.killed < now())
    if (one.script === 'chaos_worker.js' && code === 3 && killedMeanwhile) this.launch(one.script, strip(one))
    else this.wrong.push(`${one.name} ended by itself with ${code}`)
  }

  alive (script) { return this.processes.filter((one) => one.script === script && one.ended === undefined) }

  async killServer () {
    if (this.server.child.exitCode !== null) throw new Error(`the server has ended by itself:\n${this.server.log}`)
    this.server.child.kill('SIGKILL')
    this.runs[this.runs.length - 1].killed = now()
    const { code, signal } = await this.server.ended
    if (signal !== 'SIGKILL') throw new Error(`the server had ended by itself with ${code}:\n${this.server.log}`)
    // While it recovers, too: what those short lives were is not told, no client sees them.
    for (let again = this.chance(); again < 0.3; again = this.chance()) {
      const launched = this.server.launch().then(() => this.noteRun(), () => {})
      await until(() => this.server.log !== '', 'the server begins') // before that there is nothing to cut off
      await pause(this.chance() * 80)
      this.server.child.kill('SIGKILL')
      await this.server.ended
      await launched
    }
    await pause(this.chance() * 200)
    await this.server.launch()
    this.noteRun()
  }

  async killWorker () {
    const workers = this.alive('chaos_worker.js')
    const one = workers[Math.floor(this.chance() * workers.length)]
    one.child.kill('SIGKILL')
    one.ended = now()
    await one.exited
    await pause(this.chance() * 100)
    this.launch(one.script, strip(one))
  }

  async round () {
    await pause(300 + this.chance() * 700)
    const dice = this.chance()
    if (dice < 0.75) await this.killServer()
    if (dice > 0.6) await this.killWorker()
    if (dice > 0.9) await this.killWorker()
  }

  /** Ends publishing and waits until every group has finished everything. */
  async drain () {
    for (const one of this.alive('chaos_producer.js')) {
      one.ended = now()
      one.child.removeAllListeners('exit')
      const ended = new Promise((resolve) => one.child.once('exit', resolve))
      one.child.kill('SIGTERM')
      await ended
    }
    this.stored = { jobs: await this.readAll('jobs'), events: await this.readAll('events') }
    const owed = () => CREWS.map((crew) => this.stored[crew.channel].length - this.finished(crew.group).size)
    const end = now() + DRAIN_MS
    let left = owed()
    while (left.some((count) => count > 0) && now() < end) {
      await pause(300)
      left = owed()
    }
    if (left.some((count) => count > 0)) this.wrong.push(`after ${DRAIN_MS} ms still owed: ${left.join(', ')}`)
  }

  /** What a group has finished, or may have: a worker that was killed had acknowledged it. */
  finished (group) {
    const seqs = new Set()
    for (const one of this.processes.filter((one) => one.group === group)) {
      for (const line of readJournal(one.file)) {
        if (line.e === 'done') line.acks.forEach(([seq]) => seqs.add(seq))
        if (line.e === 'ack' && one.ended !== undefined) seqs.add(line.seq)
      }
    }
    return seqs
  }

  /** A channel from its beginning, until a second subscription after everything was read brings nothing new. */
  async readAll (channel) {
    const client = await StanClient.connect(this.server)
    const mark = await client.publish(`${channel}.mark`, 'x')
    if (mark.error) throw new Error(mark.error)
    const last = await client.subscribe(channel, { startPosition: 1 })
    const end = (await last.next()).sequence
    const all = await client.subscribe(channel, { maxInFlight: 4096 })
    const messages = []
    while (messages.length < end) {
      const { sequence, bytes, timestamp } = await all.next()
      all.ack(sequence)
      messages.push({ seq: Number(sequence), id: readPayload(bytes), timestamp: Number(timestamp) })
    }
    await client.leave()
    return messages
  }

  async end () {
    this.ending = true
    for (const one of this.alive('chaos_worker.js')) one.child.kill('SIGKILL')
    const page = await this.server.page('/varz')
    this.server.child.kill('SIGTERM')
    const { code } = await this.server.ended
    if (code !== 0) this.wrong.push(`the server ended with ${code}:\n${this.server.log}`)
    return page
  }

  history () {
    const read = (script) => this.processes.filter((one) => one.script === script)
      .map((one) => ({ ...one, child: undefined, ackWaitMs: one.ackWait * 1000, lines: readJournal(one.file) }))
    return { runs: this.runs, stored: this.stored, producers: read('chaos_producer.js'), workers: read('chaos_worker.js'), graceMs: GRACE_MS }
  }
}

function strip ({ group, channel, processes, members, ackWait, lazy }) { return { group, channel, processes, members, ackWait, lazy } }

function summary (history) {
  const lines = (list) => list.flatMap((one) => one.lines)
  const jobs = lines(history.workers).filter((line) => line.e === 'job')
  return `${history.runs.length} lives of the server, ${history.workers.length} of workers; ` +
    `${lines(history.producers).filter((line) => line.e === 'answer').length} publishes answered, ` +
    `${Object.values(history.stored).map((list) => list.length).join(' + ')} stored, ${jobs.length} deliveries, ` +
    `${jobs.filter((job) => job.again).length} marked as repeated`
}

async function main () {
  console.log(`# SEED=${SEED} ROUNDS=${ROUNDS}`)
  const chaos = new Chaos()
  try {
    await chaos.start()
    for (let i = 0; i < ROUNDS; i++) await chaos.round()
    await until(() => chaos.alive('chaos_worker.js').every((one) => one.ready), 'all workers are back')
    await chaos.drain()
    await chaos.end()
    const history = chaos.history()
    console.log(`# ${summary(history)}`)
    chaos.wrong.push(...check(history))
    const checked = spawnSync(process.env.WEIR, ['check', path.join(chaos.server.directory, 'data')], { encoding: 'utf8' })
    if (checked.status !== 0) chaos.wrong.push(`weir check ended with ${checked.status}:\n${checked.stdout}${checked.stderr}`)
  } catch (error) {
    chaos.wrong.push(error.stack)
  }
  chaos.ending = true
  for (const one of chaos.processes) if (one.child && one.ended === undefined) one.child.kill('SIGKILL')
  console.log(`${chaos.wrong.length ? 'not ok' : 'ok'} 1 - nothing acknowledged is lost, repeated without reason or out of order`)
  for (const line of chaos.wrong.slice(0, 40)) console.log(`    ${line.replace(/\n/g, '\n    ')}`)
  if (chaos.wrong.length || process.env.KEEP) console.log(`    ${chaos.wrong.length} complaints; all files: ${chaos.server.directory}; SEED=${SEED}`)
  else fs.rmSync(process.env.TMPDIR, { recursive: true, force: true })
  process.exit(chaos.wrong.length ? 1 : 0)
}

if (process.argv[2] === '--self-test') selfTest()
else main()
