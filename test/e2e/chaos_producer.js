// SPDX-License-Identifier: Apache-2.0
// A producer process of the chaos test. Arguments: kind, url, journal, name, channel, seed. It runs until SIGTERM, then waits for
// the answers it is owed and ends.
//
//   plain   node-nats-streaming, unmodified: many in flight, nothing is ever sent twice
//   retry   what has no answer is published again with the same guid until it has one; half the time without need
//
// Journal: {e:'send', id, guid, n, t}, {e:'answer', id, n, run, t, error},
// {e:'nobody'}: the server said that nobody listens. n: which connection; run: the server's id.
'use strict'

const { clients, now, Journal, random, makePayload } = require('./chaos_common')

const [kind, url, file, name, channel, seed] = process.argv.slice(2)
const journal = new Journal(file)
const chance = random(Number(seed))
const WINDOW = 64
let counter = 0
let stopping = false
process.on('SIGTERM', () => { stopping = true })
process.on('disconnect', () => process.exit(1)) // the test is gone

function nextMessage () {
  const id = `${name}-${++counter}`
  const dice = chance()
  const size = dice < 0.9 ? 100 + chance() * 400 : dice < 0.995 ? 20000 * chance() : 900000 * chance()
  return { id, guid: `guid-${id}`, payload: makePayload(id, Math.floor(size)) }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// ---- plain

function plain () {
  const stan = clients('node-nats-streaming').connect('test-cluster', name,
    { url, reconnectTimeWait: 20, maxReconnectAttempts: -1, ackTimeout: 600000, stanMaxPingOut: 1000 })
  let connection = 0
  let connected = true
  const open = new Map() // id -> connection it was sent on
  stan.on('error', (error) => { console.error(name, String(error)); process.exit(1) })
  stan.on('connection_lost', (error) => { console.error(name, 'connection lost', String(error)); process.exit(1) })
  stan.on('disconnect', () => { connection++; connected = false; open.clear() })
  stan.on('reconnect', () => { connection++; connected = true })
  stan.on('connect', async () => {
    process.send('ready')
    for (let turns = 0; !stopping || (open.size && turns < 1000); turns++) {
      // Without a connection the client would throw away what it is given.
      for (let burst = 0; !stopping && burst < 8 && connected && open.size < WINDOW; burst++) {
        const { id, payload } = nextMessage()
        const sentOn = connection
        open.set(id, sentOn)
        journal.write({ e: 'send', id, n: sentOn, t: now() })
        stan.publish(channel, payload, (error) => {
          const run = stan.nc && stan.nc.info ? stan.nc.info.server_id : ''
          journal.write({ e: 'answer', id, n: connection, run, t: now(), error: error ? String(error) : undefined })
          open.delete(id)
        })
      }
      if (!stopping) turns = 0
      await pause(10)
    }
    process.exit(0)
  })
}

// ---- retry

async function retry () {
  const { StanClient, message, pb } = require('../conformance/lib/stan')
  const client = await StanClient.open({ url }, { reconnect: true, maxReconnectAttempts: -1, reconnectTimeWait: 20 })
  const { error: refused } = await client.register({ clientId: name, pingMaxOut: 1000 })
  if (refused) throw new Error(refused)
  process.send('ready')
  let connection = 0
  client.nc.closed().then((error) => { console.error(name, 'closed', String(error)); process.exit(1) })
  ;(async () => {
    for await (const status of client.nc.status()) {
      if (status.type === 'disconnect' || status.type === 'reconnect') connection++
    }
  })()
  const publishUntilStored = async ({ id, guid, payload }) => {
    for (let needed = chance() < 0.5 ? 1 : 2; needed > 0;) {
      const n = connection
      journal.write({ e: 'send', id, guid, n, t: now() })
      const bytes = message('PubMsg', { clientId: name, connId: client.connId, guid, subject: channel, data: payload })
      try {
        const answer = await client.nc.request(`${client.prefix}.${channel}`, bytes, { timeout: 1000 })
        const ack = pb.PubAck.deserializeBinary(answer.data)
        const error = ack.getGuid() === guid ? ack.getError() : `an answer with guid ${ack.getGuid()}`
        journal.write({ e: 'answer', id, n: connection, run: client.nc.info.server_id, t: now(), error: error || undefined })
        needed--
      } catch (error) {
        if (error.code === '503') journal.write({ e: 'nobody', id, t: now() })
        await pause(20)
      }
    }
  }
  const worker = async () => {
    while (!stopping) {
      await publishUntilStored(nextMessage())
      await pause(10)
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  process.exit(0)
}

if (kind === 'plain') plain()
else retry().catch((error) => { console.error(name, error); process.exit(1) })
