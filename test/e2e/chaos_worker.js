// SPDX-License-Identifier: Apache-2.0
// A worker process of the chaos test: one or more members of a durable queue group, unmodified node-nats-streaming. Arguments: url,
// journal, name, channel, group, members, ack wait in seconds, share of jobs it never finishes, seed. All members of one process
// share one connection, so that the order in which it receives is the order in which the server sent. Ends only by a signal.
//
// Journal: {e:'job', seq, id, again, member, n, run, t} received; id null: the payload is damaged.
//          {e:'ack', seq, t}  about to be acknowledged
//          {e:'done', acks, n, run, t}  the server has received these acknowledgements, [seq, when it was sent]: it answered a ping
//          behind them.
'use strict'

const { clients, now, Journal, random, readPayload } = require('./chaos_common')
const nats = require('module').createRequire(clients.resolve('node-nats-streaming'))('nats')

const [url, file, name, channel, group, members, ackWait, lazy, seed] = process.argv.slice(2)
const journal = new Journal(file)
const chance = random(Number(seed))
const nc = nats.connect({ url, encoding: 'binary', reconnectTimeWait: 20, maxReconnectAttempts: -1, waitOnFirstConnect: true })
let connection = 0
let connected = true
const unproven = new Map() // seq -> {message, sent}: acknowledged, and nobody knows whether the server saw it
process.on('disconnect', () => process.exit(1)) // the test is gone

// 3: a server that was killed in between may be the reason. 4: it cannot.
function fail (error) {
  console.error(name, String(error))
  process.exit(/timeout|connection|disconnect/i.test(String(error)) ? 3 : 4)
}
function lost (error) { console.error(name, 'connection lost', String(error)); process.exit(4) }

function prove () {
  if (connected && unproven.size) {
    const acks = [...unproven].map(([seq, { sent }]) => [seq, sent])
    const run = nc.info.server_id
    const n = connection
    nc.flush((error) => {
      if (error || connection !== n) return
      journal.write({ e: 'done', acks, n, run, t: now() })
      for (const [seq, sent] of acks) if (unproven.has(seq) && unproven.get(seq).sent === sent) unproven.delete(seq)
    })
  }
  setTimeout(prove, 20)
}

function finish (message) {
  journal.write({ e: 'ack', seq: message.getSequence(), t: now() })
  unproven.set(message.getSequence(), { message, sent: now() })
  if (connected) message.ack()
}

function join (member) {
  const clientId = `${name}-${member}`
  const stan = clients('node-nats-streaming').connect('test-cluster', clientId, { nc, stanMaxPingOut: 1000 })
  stan.on('error', fail)
  stan.on('connection_lost', lost)
  stan.on('connect', () => {
    const options = stan.subscriptionOptions().setDeliverAllAvailable().setDurableName('chaos').setManualAckMode(true)
      .setAckWait(Number(ackWait) * 1000).setMaxInFlight(16)
    const jobs = stan.subscribe(channel, group, options)
    jobs.on('error', fail)
    jobs.on('timeout', fail)
    jobs.on('ready', () => process.send('ready'))
    jobs.on('message', (message) => {
      const bytes = Buffer.from(message.getRawData())
      const seq = message.getSequence()
      journal.write({ e: 'job', seq, id: readPayload(bytes), again: message.isRedelivered(), member, n: connection, run: nc.info.server_id, t: now() })
      if (chance() >= Number(lazy)) setTimeout(finish, chance() < 0.95 ? chance() * 20 : chance() * 1000, message)
    })
  })
}

nc.on('error', fail)
nc.on('disconnect', () => { connection++; connected = false })
nc.on('reconnect', () => {
  connection++
  connected = true
  for (const one of unproven.values()) {
    one.sent = now()
    one.message.ack()
  }
})
for (let member = 0; member < Number(members); member++) join(member)
prove()
