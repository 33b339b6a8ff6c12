// SPDX-License-Identifier: Apache-2.0
// Libweir for tests: the program `driver`, with promises and queues as ../conformance/lib/stan_client.js has them.
'use strict'

const { spawn } = require('child_process')
const path = require('path')
const readline = require('readline')
const { EventEmitter } = require('events')
const { program } = require('../conformance/lib/server')
const { Queue, unique, within } = require('../conformance/lib/wait')

const build = process.env.BUILD || path.dirname(program)
const START = { NEW: 0, LAST: 1, AGO: 2, SEQUENCE: 3, FIRST: 4 }
const RESULT = { INVALID: -1, UNREACHABLE: -3, AUTHORIZATION: -4, NO_CLUSTER: -5, TIMEOUT: -6, REFUSED: -7, TOO_BIG: -8, LIMIT: -9, LOST: -10, CLOSED: -11 }
const CALL_MS = 40000
const running = new Set()
process.on('exit', () => { for (const child of running) child.kill('SIGKILL') })

class Failure extends Error {
  constructor (answer) {
    super(answer.why || answer.words)
    this.result = answer.result
  }
}

class Driver {
  static start () {
    const driver = new Driver()
    const [command, ...before] = (process.env.DRIVER_UNDER || '').split(' ').filter(Boolean).concat(path.join(build, 'test/client/client-driver'))
    driver.child = spawn(command, before, { stdio: ['pipe', 'pipe', 'pipe'] })
    driver.calls = new Map()
    driver.subs = new Map()
    driver.clients = new Map()
    driver.last = 0
    driver.log = ''
    driver.child.stderr.setEncoding('utf8')
    driver.child.stderr.on('data', (text) => { driver.log += text })
    driver.ended = new Promise((resolve) => driver.child.once('close', (code, signal) => resolve(code === null ? signal : code)))
    driver.ended.then(() => { for (const call of driver.calls.values()) call({ result: 'the driver ended', why: driver.log }) })
    driver.child.stdin.on('error', () => {})
    readline.createInterface({ input: driver.child.stdout }).on('line', (line) => driver.take(JSON.parse(line)))
    running.add(driver.child)
    driver.ended.then(() => running.delete(driver.child))
    return driver
  }

  take (line) {
    if (line.id) {
      this.calls.get(line.id)(line)
      this.calls.delete(line.id)
    } else if (line.sub) this.subs.get(line.sub).push(line)
    else this.clients.get(line.client).emit(line.event, line.why, line)
  }

  /** The answer to a call, which may say that it failed. */
  ask (call) {
    const id = ++this.last
    const answer = new Promise((resolve) => this.calls.set(id, resolve))
    this.child.stdin.write(JSON.stringify({ id, ...call }) + '\n')
    return within(answer, JSON.stringify(call), CALL_MS)
  }

  /** The same; rejects with a Failure. */
  async call (call) {
    const answer = await this.ask(call)
    if (answer.result !== 0) throw new Failure(answer)
    return answer
  }

  /** Ends it; leaks and races are in its exit code. */
  async stop () {
    this.child.stdin.end()
    const code = await within(this.ended, 'the driver ends', CALL_MS)
    if (code !== 0) throw new Error(`the driver ended with ${code}:\n${this.log}`)
  }

  /** A fleet that is freed with its test; not waited for. */
  async fleet (t, servers, options) {
    return new Fleet(this, unique('f')).open(t, servers, options)
  }

  /** A client that is freed with its test. `id`, `cluster`, and options of the library. */
  async connect (t, server, { id = unique('client'), cluster, ...options } = {}) {
    const client = new Client(this, unique('c'), id)
    this.clients.set(client.name, client)
    await this.call({ do: 'open', name: client.name, servers: server && server.url, client_id: id, cluster, connect_timeout_ms: 15000, reconnect_wait_ms: 20, ...options })
    t.after(() => client.free())
    return client
  }
}

/** A fleet of `servers`: as a client, and wait(count), drain(i), undrain(i), states(). Emits up, down, silent with (why, { server }). */
class Fleet extends EventEmitter {
  constructor (driver, name) {
    super()
    Object.assign(this, { driver, name, freed: false })
  }

  async open (t, servers, { id = unique('client'), ...options } = {}) {
    this.driver.clients.set(this.name, this)
    await this.driver.call({ do: 'fleet_open', name: this.name, urls: servers.map((one) => one.url), client_id: id, reconnect_wait_ms: 50, ...options })
    t.after(() => this.free())
    return this
  }

  do (what, options = {}) { return this.driver.call({ do: `fleet_${what}`, fleet: this.name, ...options }) }
  publish (channel, data, options = {}) { return this.do('publish', { channel, data, ...options }) }
  wait (count = 0, timeout = 15000) { return this.do('wait', { count, timeout_ms: timeout }) }
  drain (server) { return this.do('drain', { server }) }
  undrain (server) { return this.do('undrain', { server }) }
  async states () { return (await this.do('states')).servers }

  async subscribe (channel, { all, ...options } = {}) {
    const sub = new Subscription(this.driver, unique('s'), channel, 'fleet_')
    this.driver.subs.set(sub.name, sub)
    await this.do('subscribe', { name: sub.name, channel, start: all ? START.FIRST : START.NEW, ...options })
    return sub
  }

  async free () {
    if (!this.freed) {
      this.freed = true
      await this.do('free')
    }
  }
}

class Client extends EventEmitter {
  constructor (driver, name, id) {
    super()
    Object.assign(this, { driver, name, id, freed: false })
  }

  /** `message_id`, `reply`, `timeout_ms`, `size` or `times` instead of data. */
  publish (channel, data, options = {}) {
    return this.driver.call({ do: 'publish', client: this.name, channel, data, ...options })
  }

  /** Its `queue` has { sequence, data, redelivered, count, … } and say(what, options). `all`: from the first message on. */
  async subscribe (channel, { all, ...options } = {}) {
    const sub = new Subscription(this.driver, unique('s'), channel)
    this.driver.subs.set(sub.name, sub)
    await this.driver.call({ do: 'subscribe', client: this.name, name: sub.name, channel, start: all ? START.FIRST : START.NEW, ...options })
    return sub
  }

  close () { return this.driver.call({ do: 'close', client: this.name }) }

  async free () {
    if (!this.freed) {
      this.freed = true
      await this.driver.call({ do: 'free', client: this.name })
    }
  }
}

class Subscription {
  constructor (driver, name, channel, prefix = '') {
    Object.assign(this, { driver, name, prefix, queue: new Queue(`a message of channel ${channel}`) })
  }

  push (line) {
    const say = (what, options = {}) => this.driver.call({ do: 'verdict', token: line.token, say: what, ...options })
    this.queue.push({ ...line, say, ack: () => say('ack') })
  }

  /** Anything else that can be done with one: end, pending, backlog, nak_all, stop, free. */
  do (what, options = {}) { return this.driver.call({ do: this.prefix + what, sub: this.name, ...options }) }
  close () { return this.do('end') }
  unsubscribe () { return this.do('end', { delete: true }) }
}

module.exports = { Driver, Fleet, START, RESULT }
