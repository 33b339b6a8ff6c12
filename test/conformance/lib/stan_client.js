// SPDX-License-Identifier: Apache-2.0
// node-nats-streaming with promises, and messages that wait in a queue. It changes nothing in the client.
'use strict'

const stan = require('node-nats-streaming')
const { Queue, event, unique, within } = require('./wait')

/** A client that ends with its test. `id`, `cluster`, and options of the library. Rejects with what the server refuses. */
async function connect (t, server, { id = unique('client'), cluster = 'test-cluster', ...options } = {}) {
  const client = stan.connect(cluster, id, { url: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 20, connectTimeout: 15000, ...options })
  t.after(() => vanish(client))
  await event(client, 'connect')
  // From here on an error that no test waits for is not an exception; what it leads to is what fails.
  client.on('error', () => {})
  return client
}

/** Its connection ends, and it says nothing. */
function vanish (client) {
  clearTimeout(client.pingTimer) // it would ping over the closed connection
  if (client.nc) client.nc.close()
}

/** Resolves with the guid when the server has acknowledged. */
function publish (client, channel, data) {
  return within(new Promise((resolve, reject) => {
    client.publish(channel, data, (error, guid) => (error ? reject(new Error(error.message || error)) : resolve(guid)))
  }), `the acknowledgement of a message to ${channel}`)
}

/**
 * A subscription that is ready. `group`, `durable`, `manual`, `ackWait` (ms), `maxInFlight`, `all` (from the first message),
 * `adjust` (a function that gets the library's options). Its `queue` has { sequence, data, redelivered, count, ack(), raw }.
 */
async function subscribe (client, channel, { group, durable, manual, ackWait, maxInFlight, all, adjust } = {}) {
  const options = client.subscriptionOptions()
  if (durable) options.setDurableName(durable)
  if (manual) options.setManualAckMode(true)
  if (ackWait !== undefined) options.setAckWait(ackWait)
  if (maxInFlight !== undefined) options.setMaxInFlight(maxInFlight)
  if (all) options.setDeliverAllAvailable()
  if (adjust) adjust(options)
  const subscription = group ? client.subscribe(channel, group, options) : client.subscribe(channel, options)
  subscription.queue = new Queue(`a message of channel ${channel}`)
  subscription.on('message', (raw) => subscription.queue.push({
    sequence: raw.getSequence(),
    subject: raw.getSubject(),
    data: raw.getData(),
    redelivered: raw.isRedelivered(),
    count: raw.getRedeliveryCount(),
    ack: () => raw.ack(),
    raw
  }))
  await event(subscription, 'ready')
  return subscription
}

/** Ends a subscription: `how` is 'close' or 'unsubscribe'. */
async function ended (subscription, how) {
  const done = event(subscription, how === 'close' ? 'closed' : 'unsubscribed')
  subscription[how]()
  await done
}

module.exports = { connect, publish, subscribe, ended, vanish }
