// SPDX-License-Identifier: Apache-2.0
// Random histories of NATS Streaming: clients publish, subscribe (plain, durable, in groups), acknowledge, close, vanish and come
// back, the server is stopped and killed. A model says what may be delivered: nothing that was acknowledged, no message
// without its content, first deliveries of a member in order, and in the end everything that is owed, once.
// SEED and SEEDS set which histories; the same seed asks for the same things, though timing differs.
'use strict'

const assert = require('assert')
const { test, run } = require('./lib/tap')
const { Server } = require('./lib/server')
const { StanClient } = require('./lib/stan')
const { until } = require('./lib/wait')

const FIRST = Number(process.env.SEED || 1)
const COUNT = Number(process.env.SEEDS || 6)
const STEPS = 150
const CHANNELS = ['one', 'two']
const CLIENTS = ['anna', 'ben', 'carl']
const KINDS = [{ durableName: 'd' }, { qGroup: 'q' }, { qGroup: 'q', durableName: 'd' }]

class History {
  constructor (seed) {
    this.state = (seed * 2654435761) >>> 0
    this.last = {} // channel: messages stored
    this.clients = new Map() // id: StanClient
    this.consumers = new Map() // key: { channel, durable, acked, members }
    for (const channel of CHANNELS) this.last[channel] = 0
  }

  below (n) {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0
    return Math.floor(this.state / 4294967296 * n)
  }

  of (list) { return list[this.below(list.length)] }

  members () { return [...this.consumers.values()].flatMap((consumer) => [...consumer.members]) }

  async start () {
    this.server = await Server.start(['-disconnect_grace', '200ms'])
    for (const id of CLIENTS) await this.join(id)
  }

  async join (id) {
    const client = await StanClient.open(this.server, { reconnect: true, maxReconnectAttempts: -1, reconnectTimeWait: 20 })
    const { error } = await client.register({ clientId: id })
    if (error) {
      await client.leave()
      throw new Error(error)
    }
    this.clients.set(id, client)
  }

  /** What any client has sent is carried out, and what was sent to any has arrived. */
  async settle () {
    for (const client of this.clients.values()) await client.store('settle', 'x')
    for (const client of this.clients.values()) await client.nc.flush()
  }

  publish () {
    const channel = this.of(CHANNELS)
    const first = this.last[channel] + 1
    const count = 1 + this.below(5)
    this.last[channel] += count
    return this.clients.get(this.of(CLIENTS)).store(channel, ...Array.from({ length: count }, (_, i) => `${channel} ${first + i}`))
  }

  async subscribe (id = this.of(CLIENTS), channel = this.of(CHANNELS), kind = this.of(KINDS), maxInFlight = 1 + this.below(6)) {
    const client = this.clients.get(id)
    const key = [channel, kind.qGroup ? '' : id, kind.qGroup || '', kind.durableName || ''].join('/')
    const consumer = this.consumers.get(key) || { key, channel, kind, owner: id, acked: new Set(), members: new Set() }
    const member = await client.trySubscribe(channel, { ...kind, maxInFlight, ackWaitInSecs: 600 })
    if (!kind.qGroup && consumer.members.size > 0) {
      assert.strictEqual(member.error, 'stan: duplicate durable registration')
      return undefined
    }
    assert.strictEqual(member.error, '')
    Object.assign(member, { consumer, held: new Set(), highest: 0 })
    this.consumers.set(key, consumer)
    consumer.members.add(member)
    return member
  }

  /** Looks at what a member has got. */
  take (member) {
    for (const one of member.queue.items.splice(0)) {
      const { consumer } = member
      assert.strictEqual(one.data, `${consumer.channel} ${one.sequence}`)
      assert.ok(one.sequence <= this.last[consumer.channel])
      assert.ok(!consumer.acked.has(one.sequence), `${consumer.key}: ${one.sequence} comes again after its acknowledgement`)
      assert.strictEqual(one.redelivered, one.count > 0)
      if (!one.redelivered) {
        assert.ok(one.sequence > member.highest, `${consumer.key}: ${one.sequence} comes first after ${member.highest}`)
        member.highest = one.sequence
      }
      member.held.add(one.sequence)
    }
  }

  takeAll () { for (const member of this.members()) this.take(member) }

  async acknowledge () {
    this.takeAll()
    const member = this.of(this.members())
    if (!member || member.held.size === 0) return
    const sequences = [...member.held].filter(() => this.below(3) > 0)
    member.ack(...sequences)
    await this.settle()
    this.takeAll() // what had left before the server saw the acknowledgement
    for (const sequence of sequences) this.acknowledged(member.consumer, sequence)
  }

  acknowledged (consumer, sequence) {
    consumer.acked.add(sequence)
    for (const member of consumer.members) member.held.delete(sequence)
  }

  /** A member is no more; with the last one an ordinary group goes, and a durable that was unsubscribed. */
  removed (member, unsubscribed) {
    const { consumer } = member
    consumer.members.delete(member)
    if (consumer.members.size === 0 && (unsubscribed || !consumer.kind.durableName)) this.consumers.delete(consumer.key)
  }

  async end (unsubscribe) {
    const member = this.of(this.members())
    if (!member) return
    this.take(member)
    assert.strictEqual(await (unsubscribe ? member.unsubscribe() : member.close()), '')
    this.removed(member, unsubscribe)
  }

  async goAndComeBack (politely) {
    const id = this.of(CLIENTS)
    const client = this.clients.get(id)
    this.takeAll()
    if (politely) assert.strictEqual(await client.bye(), '')
    await client.leave()
    for (const member of this.members()) if (member.client === client) this.removed(member, false)
    // The server learns of the end in its own time.
    await until(async () => {
      try { await this.join(id) } catch (error) {
        if (!/already registered/.test(error.message)) throw error
        return false
      }
      return true
    }, `${id} is free`)
  }

  async restart (signal) {
    await this.settle()
    this.takeAll()
    await this.server.restart(signal)
    // A member that comes back within its grace keeps what it holds; else it comes again. Both are right.
    for (const client of this.clients.values()) {
      await until(() => client.nc.flush().then(() => true, () => false), `${client.id} is back`)
    }
    await this.settle()
  }

  step () {
    const kind = this.below(100)
    if (kind < 40) return this.publish()
    if (kind < 55) return this.subscribe()
    if (kind < 82) return this.acknowledge()
    if (kind < 88) return this.end(false)
    if (kind < 91) return this.end(true)
    if (kind < 95) return this.goAndComeBack(true)
    if (kind < 98) return this.goAndComeBack(false)
    return this.restart(this.of(['SIGTERM', 'SIGKILL']))
  }

  /** A last member takes over each consumer and gets what is owed: exactly that. */
  async payUp (consumer) {
    const { channel, kind, owner } = consumer
    for (const member of [...consumer.members]) this.take(member)
    for (const member of [...consumer.members].slice(1)) {
      assert.strictEqual(await member.close(), '')
      consumer.members.delete(member)
    }
    if (!kind.qGroup) for (const member of [...consumer.members]) { await member.close(); consumer.members.delete(member) }
    const last = await this.subscribe(owner, channel, kind, 100000)
    for (const member of [...consumer.members]) {
      if (member === last) continue
      this.take(member)
      assert.strictEqual(await member.close(), '')
      consumer.members.delete(member)
    }
    const owed = new Set()
    for (let sequence = 1; sequence <= this.last[channel]; sequence++) if (!consumer.acked.has(sequence)) owed.add(sequence)
    while (owed.size > 0) {
      if (last.held.size === 0) last.queue.items.unshift(await last.next())
      this.take(last)
      const sequences = [...last.held]
      last.ack(...sequences)
      await this.settle()
      this.take(last)
      for (const sequence of sequences) {
        owed.delete(sequence)
        this.acknowledged(consumer, sequence)
      }
    }
    await this.settle()
    this.takeAll()
    assert.strictEqual(last.held.size, 0)
  }
}

for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
  test(`ST-B02 a random history, number ${seed}`, async (t) => {
    const history = new History(seed)
    await history.start()
    t.after(() => history.server.stop())
    t.after(() => Promise.all([...history.clients.values()].map((client) => client.leave())))
    for (let step = 0; step < STEPS; step++) await history.step()
    for (const consumer of [...history.consumers.values()]) await history.payUp(consumer)
  })
}

run({ atOnce: 3 })
