#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Chaos for a fleet: three servers that know nothing of each other, publishers (libweir, and `weir enqueue`) and workers (libweir, and `weir work` with a
// real command). Servers and workers are killed (kill -9), paused (SIGSTOP) and restarted (SIGTERM) at random, ROUNDS times, about one a second, two
// servers at a time; now and then all servers are down. At the end (fleet_checker.js):
//
//   every job that was acknowledged to its publisher has been worked on to its end,
//   no server has a job twice,
//   a publish failed only if no server was up long enough while it was tried, and some did when all were down.
//
// A server that is paused is not up: whoever publishes cannot tell it from one that is gone, but for its port.
//
//   node test/e2e/fleet_chaos.js              WEIR, BUILD, ROUNDS (20), SEED
//   node test/e2e/fleet_chaos.js --self-test  shows that the checks see what they are for
'use strict'

const path = require('path')
const { Server } = require('../conformance/lib/server')
const { connect, subscribe } = require('../conformance/lib/stan_client')
const { until } = require('../conformance/lib/wait')
const { random, now } = require('./chaos_common')
const { Driver } = require('../client/driver')
const { Uptime, check, selfTest } = require('./fleet_checker')
const { scratch, LibraryWorker, journalWorker, enqueue, readJournal, disturb, pause } = require('./fleet_crew')

const ROUNDS = Number(process.env.ROUNDS || 20)
const SEED = Number(process.env.SEED || Date.now() % 1000000000)
const TIMEOUT_MS = 5000 // of a publish, and of a call of `weir enqueue` without progress
// A server that is up for so long must have taken it: a try is over after 500 ms, reconnecting takes as long at most.
const ENOUGH_MS = 3000
// `weir enqueue` speaks to one server at a time and gives each a third of the time, so the two others may have cost two of them.
const ENQUEUE_ENOUGH_MS = 4500
const ALL_DOWN_MS = TIMEOUT_MS + 1500
const PAUSE_MS = { server: 2500, worker: 5000 } // of a worker: sometimes beyond the ack wait, so that somebody else does its work as well
const DRAIN_MS = 60000
// How fast, how many: channel `quick` is for the library, `slow` for commands, which cost processes.
const PUBLISHERS = [...Array(6).fill({ channel: 'quick', waitMs: 10 }), ...Array(2).fill({ channel: 'slow', waitMs: 200 })]
const CREWS = [{ channel: 'quick', count: 2 }, { channel: 'slow', count: 3 }]
const CALLERS = 3
const CALL_LINES = 10
const LINE_MS = 100

class Chaos {
  constructor () {
    this.chance = random(SEED)
    this.channels = { quick: { published: [], finished: new Set() }, slow: { published: [], finished: new Set() } }
    Object.assign(this, { calls: [], crews: [], busy: new Set(), disturbed: { kill: 0, pause: 0, stop: 0 }, ending: false, failed: [] })
  }

  pick (list) { return list[Math.floor(this.chance() * list.length)] }

  async start () {
    const flags = ['--disconnect_grace', '1s', '-hbi', '1h', '--log_bytes', '16M']
    this.servers = await Promise.all([0, 1, 2].map(() => Server.start(flags)))
    this.journal = path.join(scratch, 'journal')
    this.uptimes = this.servers.map(() => new Uptime())
    for (const uptime of this.uptimes) uptime.up()
    this.driver = Driver.start()
    this.fleet = await this.driver.fleet({ after () {} }, this.servers, { try_timeout_ms: 500 })
    await this.fleet.wait()
    this.crews = CREWS.map((crew) => ({ ...crew, members: [], busy: new Set(), make: () => this.make(crew) }))
    for (const crew of this.crews) for (let i = 0; i < crew.count; i++) crew.members.push(await crew.make())
    this.loops = [...PUBLISHERS.map((one, i) => this.publish(i, one)), ...Array.from({ length: CALLERS }, (_, i) => this.enqueue(i))]
  }

  async make ({ channel }) {
    return channel === 'quick'
      ? LibraryWorker.start(this.servers, channel, this.channels[channel].finished, this.chance)
      : journalWorker(this.servers, channel, this.journal, this.chance)
  }

  async publish (index, { channel, waitMs }) {
    for (let i = 0; !this.ending; i++) {
      const one = { data: `${index}-${i}`, begin: now(), enoughMs: ENOUGH_MS }
      const options = { timeout_ms: TIMEOUT_MS, async: i % 2 === 0, key: i % 3 === 0 ? `key-${i % 7}` : undefined }
      try { await this.fleet.publish(channel, channel === 'slow' ? this.task(one.data) : one.data, options) } catch (error) { one.error = error.message }
      one.end = now()
      this.channels[channel].published.push(one)
      await pause(waitMs)
    }
  }

  /** One call of `weir enqueue` after the other. Which of its jobs a call that failed had stored nobody knows. */
  async enqueue (caller) {
    for (let i = 0; !this.ending; i++) {
      const name = `call-${caller}.${i}`
      const data = Array.from({ length: CALL_LINES }, (_, line) => `${name}-${line}`)
      const { begin, end, stored, error } = await enqueue(this.servers, 'slow', data.map((one) => this.task(one)), LINE_MS, TIMEOUT_MS)
      const from = error ? end - TIMEOUT_MS : begin
      this.calls.push({ name, stored, data })
      for (const one of data) this.channels.slow.published.push({ data: one, begin: from, end, error, enoughMs: ENQUEUE_ENOUGH_MS })
    }
  }

  /** The payload for a command: it takes up to a tenth of a second, and one in twenty fails at first. */
  task (id) { return `${id} ${(this.chance() * 0.1).toFixed(3)} ${this.chance() < 0.05 ? 'fail' : 'ok'}` }

  /** Does something to a server that nothing else is done to. */
  async disturbServer (index) {
    const server = this.servers[index]
    const how = this.pick(['kill', 'kill', 'pause', 'hang', 'stop'])
    const ms = this.chance() * (how === 'pause' || how === 'hang' ? PAUSE_MS.server : 800)
    this.busy.add(index)
    this.uptimes[index].down()
    if (how === 'pause' || how === 'hang') {
      server.child.kill('SIGSTOP')
      await pause(ms)
    }
    if (how === 'pause') server.child.kill('SIGCONT')
    else {
      await this.end(server, how === 'stop' ? 'SIGTERM' : 'SIGKILL') // with one that hung goes what it was sent and never read
      if (how !== 'hang') await pause(ms)
      await server.launch()
    }
    this.uptimes[index].up()
    this.busy.delete(index)
  }

  async end (server, signal) {
    if (server.child.exitCode !== null) throw new Error(`a server has ended by itself:\n${server.log}`)
    server.child.kill(signal)
    const { code } = await server.ended
    if (signal === 'SIGTERM' && code !== 0) throw new Error(`a server ended with ${code}:\n${server.log}`)
  }

  async allDown () {
    await until(() => this.busy.size === 0, 'all servers are in peace')
    this.servers.forEach((_, index) => { this.busy.add(index); this.uptimes[index].down() })
    await Promise.all(this.servers.map((server) => this.end(server, 'SIGKILL')))
    await pause(ALL_DOWN_MS)
    await Promise.all(this.servers.map(async (server, index) => {
      await server.launch()
      this.uptimes[index].up()
      this.busy.delete(index)
    }))
  }

  async disturbWorker (crew) {
    const index = this.pick([...crew.members.keys()].filter((one) => !crew.busy.has(one)))
    const how = this.pick(['kill', 'kill', 'pause', 'stop'])
    const ms = this.chance() * PAUSE_MS.worker
    this.disturbed[how]++
    crew.busy.add(index)
    await disturb(crew.members, index, how, ms, crew.make)
    crew.busy.delete(index)
  }

  async round (number) {
    for (const crew of this.crews) {
      const free = crew.members.length - crew.busy.size
      if (this.chance() < 0.5 && free > 0) this.note(this.disturbWorker(crew))
    }
    if (number % 20 === 10) return this.allDown()
    const free = [0, 1, 2].filter((index) => !this.busy.has(index))
    if (free.length > 1) this.note(this.disturbServer(this.pick(free)))
    await pause(500 + this.chance() * 800)
  }

  note (promise) { promise.catch((error) => this.failed.push(error)) }

  isQuiet () { return this.busy.size === 0 && this.crews.every((crew) => crew.busy.size === 0) }

  async run () {
    await this.start()
    for (const loop of this.loops) this.note(loop)
    for (let number = 0; number < ROUNDS && this.failed.length === 0; number++) await this.round(number)
    await until(() => this.isQuiet() || this.failed.length > 0, 'everybody is in peace', 30000)
    this.ending = true
    if (this.failed.length === 0) await Promise.all(this.loops)
    if (this.failed.length > 0) throw this.failed[0]
    await until(() => this.isDone(), 'everything that is owed is finished', DRAIN_MS).catch(() => {})
    for (const { members } of this.crews) for (const worker of members) await worker.stop()
    for (const [name, channel] of Object.entries(this.channels)) channel.stored = await Promise.all(this.servers.map((server) => this.stored(server, name)))
    await this.fleet.free()
    await this.driver.stop()
    for (const server of this.servers) await server.stop()
  }

  isDone () {
    this.commands = readJournal(this.journal)
    this.channels.slow.finished = new Set(this.commands.ended)
    return Object.values(this.channels).every(({ published, finished }) => published.every((one) => one.error || finished.has(one.data)))
  }

  async stored (server, channel) {
    const client = await connect({ after () {} }, server)
    await client.publish(channel, 'the last')
    const { queue } = await subscribe(client, channel, { all: true })
    await until(() => queue.items.some((one) => one.data === 'the last'), 'the last message', DRAIN_MS)
    client.close()
    return queue.items.map((one) => one.data).filter((data) => data !== 'the last').map((data) => data.split(' ')[0])
  }
}

function summary ({ channels, calls, commands, disturbed }) {
  const failures = Object.values(channels).flatMap(({ published }) => published).filter((one) => one.error)
  const stored = Object.values(channels).flatMap((channel) => channel.stored.flat())
  const { begun, ended } = commands
  return {
    failures,
    text: `${channels.quick.published.length} publishes for the library, ${channels.slow.published.length} for commands, ${calls.length} calls of weir enqueue; ` +
      `${failures.length} failed while all servers were down; commands: ${begun.length} begun, ${ended.length} ended for ${new Set(ended).size} jobs; ` +
      `${stored.length - new Set(stored).size} jobs at two servers; workers: ${disturbed.kill} killed, ${disturbed.pause} paused, ${disturbed.stop} stopped`
  }
}

async function main () {
  if (process.argv[2] === '--self-test') return selfTest()
  const chaos = new Chaos()
  let number = 0
  const report = (fine, text, details = []) => {
    console.log(`${fine ? 'ok' : 'not ok'} ${++number} - ${text}`)
    if (!fine) for (const line of details.slice(0, 20)) console.log(`    ${line}`)
    return fine
  }
  let fine = false
  try {
    await chaos.run()
    const wrong = check({ ...chaos, channels: Object.values(chaos.channels) })
    const { text, failures } = summary(chaos)
    console.log(`    ${text}`)
    fine = report(wrong.length === 0, `a fleet loses nothing in ${ROUNDS} rounds (SEED=${SEED})`, wrong)
    if (ROUNDS > 10) fine = report(failures.length > 0, 'publishes fail when all servers are down') && fine
  } catch (error) {
    report(false, `the chaos comes to its end (SEED=${SEED})`, String(error.stack).split('\n'))
  }
  console.log(`1..${number}`)
  process.exit(fine ? 0 : 1)
}

main()
