// SPDX-License-Identifier: Apache-2.0
// A worker in a language of its own, without `weir work`: a member of the queue group gpu on every server of WEIR_URLS, with node-nats-streaming. One job of each server at a time; a job is
// acknowledged when it is done. Told to stop, it takes no new job, finishes those it has, and goes; the server gives what is left to others.
'use strict'

const stan = require('node-nats-streaming')

const urls = (process.env.WEIR_URLS || 'nats://127.0.0.1:4222').split(',')
const id = (process.env.WORKER_ID || `worker-${process.pid}`).replace(/[^A-Za-z0-9_-]/g, '-')
const credentials = process.env.WEIR_USER ? { user: process.env.WEIR_USER, pass: process.env.WEIR_PASSWORD } : {}
const servers = new Set()
let stopping = false
let busy = 0

/** The work; replace this. */
async function work (job) {
  console.log(`job ${job.getData()}`)
}

function connect (url) {
  const client = stan.connect(process.env.WEIR_CLUSTER || 'weir', id, {
    url, ...credentials, waitOnFirstConnect: true, maxReconnectAttempts: -1, reconnectTimeWait: 500, connectTimeout: 10000
  })
  servers.add(client)
  client.on('connect', () => subscribe(client))
  // The library reconnects by itself; only when a server is away for long, or no longer knows this client, it gives up.
  client.on('connection_lost', (error) => again(client, url, error))
  client.on('error', (error) => again(client, url, error))
}

function again (client, url, error) {
  if (!servers.delete(client) || stopping) return
  console.error(`${url}: ${error.message || error}`)
  if (client.nc) client.nc.close()
  setTimeout(connect, 1000, url)
}

function subscribe (client) {
  const options = client.subscriptionOptions()
    .setDeliverAllAvailable()
    .setDurableName('trainers')
    .setManualAckMode(true)
    .setAckWait(60 * 1000)
    .setMaxInFlight(1)
  client.subscription = client.subscribe('training.jobs', 'gpu', options)
  client.subscription.on('message', async (job) => {
    if (stopping) return // not acknowledged: it goes to another worker when this one has gone
    busy++
    try {
      await work(job)
      job.ack()
    } catch (error) {
      console.error(`job ${job.getSequence()}: ${error.message}`) // and comes again after AckWait
    }
    if (--busy === 0 && stopping) leave()
  })
}

function leave () {
  for (const client of servers) client.close()
  // What is still in the sockets goes out.
  setTimeout(() => process.exit(0), 1000)
}

process.on('SIGTERM', () => {
  stopping = true
  if (busy === 0) leave()
})
for (const url of urls) connect(url)
