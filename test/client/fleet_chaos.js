#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Chaos for a fleet: a publisher and two workers over three servers, which are killed, paused (SIGSTOP) and restarted at random, ROUNDS times, about
// one a second, two at a time; workers are killed too, and now and then all servers are down. At the end:
//
//   every publish that was acknowledged has been received by a worker,
//   no server has a message twice,
//   a publish failed only if no server was up long enough while it was tried, and some did when all were down.
//
//   node test/client/fleet_chaos.js              WEIR, BUILD, ROUNDS (20), SEED
//   node test/client/fleet_chaos.js --self-test  shows that the checks see what they are for
'use strict'

const { Server } = require('../conformance/lib/server')
const { connect, subscribe } = require('../conformance/lib/stan_client')
const { until } = require('../conformance/lib/wait')
const { random, now } = require('../e2e/chaos_common')
const { Driver } = require('./driver')

const ROUNDS = Number(process.env.ROUNDS || 20)
const SEED = Number(process.env.SEED || Date.now() % 1000000000)
const PUBLISHERS = 6
const TIMEOUT_MS = 5000 // of a publish
const ENOUGH_MS = 3000 // a server that is up for so long must have taken it: a try is over after 500 ms, reconnecting takes as long at most
const ALL_DOWN_MS = TIMEOUT_MS + 1000
const DRAIN_MS = 60000
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** The times in which a server was up. */
class Uptime {
  constructor () { this.spans = [] }
  up () { this.spans.push([now(), Infinity]) }
  down () { this.spans[this.spans.length - 1][1] = Math.min(this.spans[this.spans.length - 1][1], now()) }
  /** The longest that it was up at a stretch between two moments. */
  longest (begin, end) { return Math.max(0, ...this.spans.map(([from, to]) => Math.min(to, end) - Math.max(from, begin))) }
}

/** What is wrong with a history: `published` [{ data, begin, end, error }], `received` a set, `stored` lists of payloads, one for each server. */
function check ({ published, received, stored, uptimes }) {
  const wrong = []
  for (const { data, begin, end, error } of published) {
    if (!error && !received.has(data)) wrong.push(`${data} was acknowledged and never received`)
    const longest = Math.max(...uptimes.map((uptime) => uptime.longest(begin, end)))
    if (error && longest > ENOUGH_MS) wrong.push(`${data} failed although a server was up for ${longest.toFixed()} ms: ${error}`)
  }
  stored.forEach((list, index) => {
    const seen = new Set()
    for (const data of list) {
      if (seen.has(data)) wrong.push(`server ${index} has ${data} twice`)
      seen.add(data)
    }
  })
  return wrong
}

class Chaos {
  constructor () {
    this.chance = random(SEED)
    Object.assign(this, { published: [], received: new Set(), deliveries: 0, workers: [], busy: new Set(), ending: false, failed: [] })
  }

  pick (list) { return list[Math.floor(this.chance() * list.length)] }

  async start () {
    const flags = ['--disconnect_grace', '1s', '-hbi', '1h', '--log_bytes', '16M']
    this.servers = await Promise.all([0, 1, 2].map(() => Server.start(flags)))
    this.uptimes = this.servers.map(() => new Uptime())
    for (const uptime of this.uptimes) uptime.up()
    this.driver = Driver.start()
    this.fleet = await this.driver.fleet({ after () {} }, this.servers, { try_timeout_ms: 500 })
    await this.fleet.wait()
    for (let i = 0; i < 2; i++) this.workers.push(await this.work())
    this.loops = Array.from({ length: PUBLISHERS }, (_, i) => this.publish(i))
  }

  async work () {
    const driver = Driver.start()
    const fleet = await driver.fleet({ after () {} }, this.servers, {})
    const sub = await fleet.subscribe('jobs', { group: 'workers', durable: 'd', manual: true, all: true, ack_wait_ms: 3000 })
    sub.queue.push = (message) => {
      this.received.add(message.data)
      this.deliveries++
      message.ack().catch(() => {}) // then it comes again
    }
    return { driver, fleet }
  }

  async publish (index) {
    for (let i = 0; !this.ending; i++) {
      const one = { data: `${index}-${i}`, begin: now() }
      const options = { timeout_ms: TIMEOUT_MS, async: i % 2 === 0, key: i % 3 === 0 ? `key-${i % 7}` : undefined }
      try { await this.fleet.publish('jobs', one.data, options) } catch (error) { one.error = error.message }
      one.end = now()
      this.published.push(one)
      await pause(10)
    }
  }

  /** Does something to a server that nothing else is done to. */
  async disturb (index) {
    const server = this.servers[index]
    const how = this.pick(['kill', 'kill', 'pause', 'pause', 'stop'])
    const ms = this.chance() * (how === 'pause' ? 2500 : 800)
    this.busy.add(index)
    this.uptimes[index].down()
    if (how === 'pause') {
      server.child.kill('SIGSTOP')
      await pause(ms)
      server.child.kill('SIGCONT')
    } else {
      await this.end(server, how === 'kill' ? 'SIGKILL' : 'SIGTERM')
      await pause(ms)
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

  async replaceWorker () {
    const index = Math.floor(this.chance() * this.workers.length)
    const old = this.workers[index]
    old.driver.child.kill('SIGKILL')
    await old.driver.ended
    this.workers[index] = await this.work()
  }

  async round (number) {
    if (number % 20 === 10) return this.allDown()
    const free = [0, 1, 2].filter((index) => !this.busy.has(index))
    if (this.chance() < 0.2) this.note(this.replaceWorker())
    if (free.length > 1) this.note(this.disturb(this.pick(free)))
    await pause(500 + this.chance() * 800)
  }

  note (promise) { promise.catch((error) => this.failed.push(error)) }

  async run () {
    await this.start()
    for (let number = 0; number < ROUNDS && this.failed.length === 0; number++) await this.round(number)
    await until(() => this.busy.size === 0 || this.failed.length > 0, 'all servers are in peace', 30000)
    this.ending = true
    await Promise.all(this.loops)
    if (this.failed.length > 0) throw this.failed[0]
    const owed = this.published.filter((one) => !one.error)
    await until(() => owed.every((one) => this.received.has(one.data)), 'everything that is owed is received', DRAIN_MS).catch(() => {})
    const stored = await Promise.all(this.servers.map((server) => this.stored(server)))
    for (const { driver, fleet } of [...this.workers, this]) {
      await fleet.free()
      await driver.stop()
    }
    for (const server of this.servers) await server.stop()
    return stored
  }

  async stored (server) {
    const client = await connect({ after () {} }, server)
    await client.publish('jobs', 'the last')
    const { queue } = await subscribe(client, 'jobs', { all: true })
    await until(() => queue.items.some((one) => one.data === 'the last'), 'the last message', DRAIN_MS)
    client.close()
    return queue.items.map((one) => one.data).filter((data) => data !== 'the last')
  }
}

function selfTest () {
  const uptime = new Uptime()
  uptime.spans = [[0, 1000], [5000, 9000]]
  const fine = { published: [{ data: 'a', begin: 0, end: 10 }], received: new Set(['a']), stored: [['a'], []], uptimes: [uptime] }
  const cases = [
    ['a clean history passes', fine, ''],
    ['a loss is seen', { ...fine, received: new Set() }, 'never received'],
    ['a message that a server has twice is seen', { ...fine, stored: [['a', 'a'], []] }, 'twice'],
    ['a message that two servers have passes', { ...fine, stored: [['a'], ['a']] }, ''],
    ['a failure while a server was up is seen', { ...fine, published: [{ data: 'a', begin: 4000, end: 9000, error: 'no' }] }, 'although'],
    ['a failure while none was up long enough passes', { ...fine, published: [{ data: 'a', begin: 0, end: 6000, error: 'no' }] }, '']
  ]
  let failed = 0
  cases.forEach(([name, history, wanted], index) => {
    const wrong = check(history).join('; ')
    const right = wanted ? wrong.includes(wanted) : wrong === ''
    failed += !right
    console.log(`${right ? 'ok' : 'not ok'} ${index + 1} - ${name}${right ? '' : `: ${wrong}`}`)
  })
  return failed ? 1 : 0
}

async function main () {
  if (process.argv[2] === '--self-test') process.exit(selfTest())
  const chaos = new Chaos()
  let number = 0
  const report = (fine, text, details = []) => {
    console.log(`${fine ? 'ok' : 'not ok'} ${++number} - ${text}`)
    if (!fine) for (const line of details.slice(0, 20)) console.log(`    ${line}`)
    return fine
  }
  let fine = false
  try {
    const stored = await chaos.run()
    const wrong = check({ ...chaos, stored })
    const errors = chaos.published.filter((one) => one.error)
    const copies = stored.flat().length - new Set(stored.flat()).size
    console.log(`    ${chaos.published.length} publishes, ${errors.length} failed while all servers were down, ${chaos.deliveries} deliveries, ${copies} messages at two servers`)
    fine = report(wrong.length === 0, `a fleet loses nothing in ${ROUNDS} rounds (SEED=${SEED})`, wrong)
    if (ROUNDS > 10) fine = report(errors.length > 0, 'publishes fail when all servers are down') && fine
  } catch (error) {
    report(false, `the chaos comes to its end (SEED=${SEED})`, String(error.stack).split('\n'))
  }
  console.log(`1..${number}`)
  process.exit(fine ? 0 : 1)
}

main()
