// SPDX-License-Identifier: Apache-2.0
// A stand-in for a NATS Streaming server, as small as clients let it be: a service on a nats-server of its own. It knows what it would have
// written to its store when it goes away, so that another server can be put in its place.
'use strict'

const nats = require('nats')
const { pb } = require('node-nats-streaming/lib/pb')
const { Server } = require('./server')
const { message, START } = require('./stan')
const { writeStore, SUB } = require('./filestore')

class OldServer {
  /** `clusterId`; `subjects`: the prefix of what clients are told to use, "_STAN" as the real one has it. */
  static async start (t, { clusterId = 'old', prefix = '_STAN' } = {}) {
    const old = new OldServer()
    Object.assign(old, { clusterId, prefix, clients: [], channels: {}, subs: [], loses: () => false })
    old.server = await Server.start([], { program: '/usr/sbin/nats-server' })
    t.after(() => old.stop())
    old.nc = await nats.connect({ servers: old.server.url, reconnect: false })
    old.serve(`_STAN.discover.${clusterId}`, pb.ConnectRequest, (request) => old.connect(request))
    old.serve(old.subject('pub') + '.>', pb.PubMsg, (request) => old.publish(request))
    old.serve(old.subject('sub'), pb.SubscriptionRequest, (request) => old.subscribe(request))
    old.serve(old.subject('subclose'), pb.UnsubscribeRequest, (request) => old.closeSubscription(request))
    old.serve(old.subject('unsub'), pb.UnsubscribeRequest, (request) => old.unsubscribe(request))
    old.serve(old.subject('close'), pb.CloseRequest, (request) => old.close(request))
    old.serve(old.subject('discover') + '.pings', pb.Ping, () => message('PingResponse', {}))
    await old.nc.flush()
    return old
  }

  get url () { return this.server.url }
  subject (name) { return `${this.prefix}.${name}.${this.clusterId}` }

  serve (subject, type, answer) {
    this.nc.subscribe(subject, {
      callback: (error, request) => {
        const response = !error && answer(type.deserializeBinary(request.data))
        if (response && request.reply) request.respond(response)
      }
    })
  }

  connect (request) {
    this.clients.push({
      id: request.getClientId(),
      inbox: request.getHeartbeatInbox(),
      connId: Buffer.from(request.getConnId_asU8()).toString(),
      protocol: request.getProtocol(),
      interval: request.getPingInterval(),
      maxOut: request.getPingMaxOut()
    })
    return message('ConnectResponse', {
      pubPrefix: this.subject('pub'),
      subRequests: this.subject('sub'),
      unsubRequests: this.subject('unsub'),
      closeRequests: this.subject('close'),
      subCloseRequests: this.subject('subclose'),
      pingRequests: this.subject('discover') + '.pings',
      pingInterval: request.getPingInterval(),
      pingMaxOut: request.getPingMaxOut(),
      protocol: 1
    })
  }

  publish (request) {
    const name = request.getSubject()
    const messages = this.channels[name] = this.channels[name] || []
    messages.push({ seq: messages.length + 1, data: Buffer.from(request.getData_asU8()), reply: request.getReply(), time: BigInt(Date.now()) * 1000000n })
    for (const sub of this.subs) this.deliver(sub)
    return message('PubAck', { guid: request.getGuid() })
  }

  subscribe (request) {
    const durable = request.getDurableName()
    const group = request.getQGroup()
    const resumed = this.subs.find((one) => one.isClosed && one.isDurable && one.client === request.getClientId() &&
      one.channel === request.getSubject() && one.durable === durable)
    if (resumed) return this.resume(resumed, request)
    const sub = {
      id: this.subs.length + 1,
      client: request.getClientId(),
      channel: request.getSubject(),
      group: group && durable ? `${durable}:${group}` : group,
      durable: group ? '' : durable,
      isDurable: durable !== '',
      inbox: request.getInbox(),
      ackInbox: nats.createInbox(),
      maxInFlight: request.getMaxInFlight(),
      ackWait: request.getAckWaitInSecs(),
      lastSent: request.getStartPosition() === START.LAST ? Math.max(0, (this.channels[request.getSubject()] || []).length - 1) : 0,
      log: [],
      pending: new Set()
    }
    this.listen(sub)
    this.subs.push(sub)
    // The answer first.
    setImmediate(() => this.deliver(sub))
    return message('SubscriptionResponse', { ackInbox: sub.ackInbox })
  }

  listen (sub) {
    this.serve(sub.ackInbox, pb.Ack, (ack) => {
      if (!sub.pending.delete(ack.getSequence())) return
      sub.log.push([SUB.ACK, { id: sub.id, seq: ack.getSequence() }])
      this.deliver(sub)
    })
  }

  /** A durable whose subscription was closed: first what was not acknowledged (ST-B11). */
  resume (sub, request) {
    Object.assign(sub, { isClosed: false, inbox: request.getInbox(), ackInbox: nats.createInbox(), maxInFlight: request.getMaxInFlight() })
    this.listen(sub)
    setImmediate(() => {
      for (const seq of [...sub.pending].sort((a, b) => a - b)) this.send(sub, this.channels[sub.channel].find((one) => one.seq === seq))
      this.deliver(sub)
    })
    return message('SubscriptionResponse', { ackInbox: sub.ackInbox })
  }

  closeSubscription (request) {
    const sub = this.subs.find((one) => !one.isClosed && one.ackInbox === request.getInbox())
    if (!sub) return message('SubscriptionResponse', { error: 'stan: invalid subscription' })
    sub.isClosed = true
    return message('SubscriptionResponse', {})
  }

  unsubscribe (request) {
    this.subs = this.subs.filter((one) => one.ackInbox !== request.getInbox())
    return message('SubscriptionResponse', {})
  }

  close (request) {
    for (const sub of this.subs) if (sub.client === request.getClientId()) sub.isClosed = true
    this.subs = this.subs.filter((one) => one.isDurable || !one.isClosed)
    return message('CloseResponse', {})
  }

  /** `loses(sub, message)`: it gets lost on its way, as between the servers of a cluster. */
  send (sub, one) {
    if (this.loses(sub, one)) return
    this.nc.publish(sub.inbox, message('MsgProto', { sequence: one.seq, subject: sub.channel, data: one.data, reply: one.reply || '', timestamp: Number(one.time) }))
  }

  /** To this one what nobody of its group has yet. */
  deliver (sub) {
    if (sub.isClosed) return
    const same = this.subs.filter((one) => one === sub || (sub.group && one.channel === sub.channel && one.group === sub.group))
    for (const one of this.channels[sub.channel] || []) {
      if (sub.pending.size >= sub.maxInFlight) return
      if (one.seq <= Math.max(...same.map((other) => other.lastSent))) continue
      sub.lastSent = one.seq
      sub.pending.add(one.seq)
      sub.log.push([SUB.PENDING, { id: sub.id, seq: one.seq }])
      this.send(sub, one)
    }
  }

  /** Goes away at once, and leaves its store in the folder. */
  async leave (directory) {
    await this.nc.flush()
    await this.stop()
    const channels = {}
    for (const [name, messages] of Object.entries(this.channels)) {
      const subs = this.subs.filter((one) => one.channel === name)
      const fields = ({ id, client, group, durable, isDurable, inbox, ackInbox, maxInFlight, ackWait }) => ({ id, client, group, durable, isDurable, inbox, ackInbox, maxInFlight, ackWait })
      channels[name] = { slices: [messages], subs: subs.flatMap((one) => [[SUB.NEW, fields(one)], ...one.log]) }
    }
    return writeStore(directory, { clusterId: this.clusterId, prefix: this.prefix, clients: this.clients, channels })
  }

  async stop () {
    if (this.stopped) return
    this.stopped = true
    this.port = this.server.port
    await this.nc.close()
    await this.server.stop()
  }
}

module.exports = { OldServer }
