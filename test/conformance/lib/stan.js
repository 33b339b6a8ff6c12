// SPDX-License-Identifier: Apache-2.0
// Requests of NATS Streaming, one at a time, for what its client libraries hide: the messages are those of node-nats-streaming,
// the connection is npm nats. Nothing here is answered, pinged or acknowledged by itself unless asked for.
'use strict'

const nats = require('nats')
const { pb } = require('node-nats-streaming/lib/pb')
const { Queue, unique } = require('./wait')

const LIMIT_MS = 15000
const CLUSTER = 'test-cluster'
const DISCOVER = `_STAN.discover.${CLUSTER}`

const START = { NEW: 0, LAST: 1, TIME: 2, SEQUENCE: 3, FIRST: 4 } // ST-M12

function message (type, fields) {
  const made = new pb[type]()
  for (const [name, value] of Object.entries(fields)) made[`set${name[0].toUpperCase()}${name.slice(1)}`](value)
  return made.serializeBinary()
}

/** A STAN client over a connection of its own. */
class StanClient {
  /** Connects to NATS only. */
  static async open (server, options = {}) {
    const client = new StanClient()
    client.nc = await nats.connect({ servers: server.url, reconnect: false, ...options })
    return client
  }

  /**
   * Connects to NATS and STAN. `heartbeats: false`: they are received and not answered; `connId`, `protocol` and so on are fields
   * of the request. Throws what the server refuses.
   */
  static async connect (server, fields = {}) {
    const client = await StanClient.open(server)
    const { error } = await client.register(fields)
    if (error) {
      await client.nc.close()
      throw new Error(error)
    }
    return client
  }

  async request (subject, bytes) {
    return (await this.nc.request(subject, bytes, { timeout: LIMIT_MS })).data
  }

  async register ({ heartbeats = true, ...fields } = {}) {
    this.id = fields.clientId === undefined ? unique('client') : fields.clientId
    this.connId = fields.connId === undefined ? Buffer.from(unique('connection')) : fields.connId
    this.heartbeatInbox = nats.createInbox()
    this.heartbeats = new Queue('a heartbeat')
    this.nc.subscribe(this.heartbeatInbox, {
      callback: (error, heartbeat) => {
        if (!error && heartbeats) heartbeat.respond()
        this.heartbeats.push({ reply: heartbeat.reply, size: heartbeat.data.length, at: performance.now() })
      }
    })
    await this.nc.flush()
    const all = { clientId: this.id, heartbeatInbox: this.heartbeatInbox, protocol: 1, connId: this.connId, pingInterval: 5, pingMaxOut: 3, ...fields }
    this.response = pb.ConnectResponse.deserializeBinary(await this.request(DISCOVER, message('ConnectRequest', all)))
    this.prefix = this.response.getPubPrefix()
    return { response: this.response, error: this.response.getError() }
  }

  /** Publishes and waits for the PubAck: { guid, error }. Fields of the PubMsg may be given. */
  async publish (channel, data = '', fields = {}) {
    const all = { clientId: this.id, connId: this.connId, guid: unique('guid'), subject: channel, data: Buffer.from(data), ...fields }
    const prefix = this.prefix || `_STAN.pub.${CLUSTER}`
    const ack = pb.PubAck.deserializeBinary(await this.request(`${prefix}.${fields.subject || channel}`, message('PubMsg', all)))
    return { guid: ack.getGuid(), error: ack.getError(), sent: all.guid }
  }

  /** Publishes and throws if that was refused. */
  async store (channel, ...payloads) {
    const acks = await Promise.all(payloads.map((data) => this.publish(channel, data)))
    for (const ack of acks) if (ack.error) throw new Error(ack.error)
  }

  /** Asks for a subscription: { error } or one whose messages wait in `queue`. Start position FIRST unless said. */
  async trySubscribe (channel, fields = {}) {
    const subscription = new StanSubscription(this, channel)
    const all = { clientId: this.id, subject: channel, inbox: subscription.inbox, maxInFlight: 1024, ackWaitInSecs: 30, startPosition: START.FIRST, ...fields }
    await subscription.listen()
    const subject = this.response ? this.response.getSubRequests() : `_STAN.sub.${CLUSTER}`
    const response = pb.SubscriptionResponse.deserializeBinary(await this.request(subject, message('SubscriptionRequest', all)))
    subscription.error = response.getError()
    subscription.ackInbox = response.getAckInbox()
    return subscription
  }

  /** The same, and throws what the server refuses. */
  async subscribe (channel, fields) {
    const subscription = await this.trySubscribe(channel, fields)
    if (subscription.error) throw new Error(subscription.error)
    return subscription
  }

  async ping (connId = this.connId) {
    const bytes = await this.request(this.response.getPingRequests() || `${DISCOVER}.pings`, message('Ping', { connId }))
    return { size: bytes.length, error: pb.PingResponse.deserializeBinary(bytes).getError() }
  }

  /** Says goodbye to STAN; the connection stays. */
  async bye (clientId = this.id) {
    const subject = this.response ? this.response.getCloseRequests() : `_STAN.close.${CLUSTER}`
    return pb.CloseResponse.deserializeBinary(await this.request(subject, message('CloseRequest', { clientId }))).getError()
  }

  /** Closes the NATS connection; STAN is told nothing. */
  async leave () { await this.nc.close() }
}

class StanSubscription {
  constructor (client, channel) {
    this.client = client
    this.channel = channel
    this.inbox = nats.createInbox()
    this.queue = new Queue(`a message of channel ${channel}`)
  }

  async listen () {
    this.sub = this.client.nc.subscribe(this.inbox, {
      callback: (error, raw) => {
        const proto = pb.MsgProto.deserializeBinary(raw.data)
        this.queue.push({
          sequence: proto.getSequence(),
          subject: proto.getSubject(),
          data: Buffer.from(proto.getData_asU8()).toString(),
          bytes: Buffer.from(proto.getData_asU8()),
          reply: proto.getReply(),
          timestamp: proto.getTimestamp(),
          redelivered: proto.getRedelivered(),
          count: proto.getRedeliveryCount(),
          natsReply: error ? '' : raw.reply,
          proto,
          at: performance.now()
        })
      }
    })
    await this.client.nc.flush()
  }

  next () { return this.queue.next() }

  /** The data of the next n messages. */
  async data (n) { return (await this.queue.take(n)).map((one) => one.data) }

  async sequences (n) { return (await this.queue.take(n)).map((one) => one.sequence) }

  /** Acknowledges; that the server has seen it is known after flush(). */
  ack (...sequences) {
    for (const sequence of sequences) this.client.nc.publish(this.ackInbox, message('Ack', { subject: this.channel, sequence }))
  }

  async end (subject, inbox, clientId = this.client.id, channel = this.channel) {
    const bytes = await this.client.request(subject, message('UnsubscribeRequest', { clientId, subject: channel, inbox }))
    return pb.SubscriptionResponse.deserializeBinary(bytes).getError()
  }

  unsubscribe ({ inbox = this.ackInbox, clientId, channel } = {}) {
    return this.end(this.client.response.getUnsubRequests(), inbox, clientId, channel)
  }

  close ({ inbox = this.ackInbox, clientId, channel } = {}) {
    return this.end(this.client.response.getSubCloseRequests(), inbox, clientId, channel)
  }
}

module.exports = { StanClient, message, pb, START, CLUSTER, DISCOVER }
