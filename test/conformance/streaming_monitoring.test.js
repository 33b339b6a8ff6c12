// SPDX-License-Identifier: Apache-2.0
// The pages of nats-streaming-server under /streaming (ST-H01…H09): names, types, order and texts as recorded from 0.25.6 (recorded/), what
// only Weir shows behind them, and what KEDA's scaler and the exporter make of them (TL-01…TL-07, TL-20…TL-23), computed as they do it.
'use strict'

const assert = require('assert')
const http = require('http')
const { kedaStan } = require('./lib/keda')
const { recorded, get: getPage, json: getJson, sameShape } = require('./lib/page')
const { test, run } = require('./lib/tap')
const { Server } = require('./lib/server')
const { StanClient } = require('./lib/stan')
const { connect, ended, publish, subscribe } = require('./lib/stan_client')
const { event, until } = require('./lib/wait')

let server
const get = (page, from = server) => getPage(page, from)
const json = (page, from = server) => getJson(page, from)

/** The names of an object's members that are in `wanted` too, in the order in which they come. */
const order = (found, wanted) => Object.keys(found).filter((key) => key in wanted)

async function own (t, flags = []) {
  const started = await Server.start(flags, { http: true })
  t.after(() => started.stop())
  return started
}

/** A page as soon as it says what is wanted of it: acknowledgements take their way. */
async function settled (page, from, condition) {
  let last
  await until(async () => condition(last = await json(page, from)), page)
  return last
}

/**
 * As in the recording: `orders` with 30 messages, a plain durable that is offline with 10 of them in flight, a subscription by itself from
 * 21 on, a queue group without a durable; `training.jobs` with a durable queue group of two, five in flight each; `binary`; a publisher.
 */
async function scene (t) {
  const from = await own(t)
  const client = (id) => connect(t, from, { id })
  const all = {}
  all.publisher = await client('publisher')
  for (let i = 1; i <= 30; i++) await publish(all.publisher, 'orders', `order ${i}`)
  for (let i = 1; i <= 12; i++) await publish(all.publisher, 'training.jobs', `job ${i}`)
  await publish(all.publisher, 'binary', Buffer.from([0, 1, 2]))
  all.audit = await client('audit')
  const ledger = await subscribe(all.audit, 'orders', { durable: 'ledger', manual: true, all: true, maxInFlight: 10, ackWait: 60000 })
  for (const message of await ledger.queue.take(6)) message.ack()
  await ledger.queue.take(10)
  await ended(ledger, 'close')
  all.viewer = await client('viewer')
  const view = await subscribe(all.viewer, 'orders', { manual: true, maxInFlight: 5, ackWait: 120000, adjust: (options) => options.setStartAtSequence(21) })
  await view.queue.take(5)
  const group = await subscribe(all.viewer, 'orders', { group: 'plainq', manual: true, maxInFlight: 3, adjust: (options) => options.setStartWithLastReceived() })
  await group.queue.take(1)
  all.one = await client('worker-1')
  all.two = await client('worker-2')
  const jobs = { group: 'gpu', durable: 'trainers', manual: true, all: true, maxInFlight: 5, ackWait: 120000 }
  all.first = await subscribe(all.one, 'training.jobs', jobs)
  await all.first.queue.take(5)
  all.second = await subscribe(all.two, 'training.jobs', jobs)
  await all.second.queue.take(5)
  return { from, ...all }
}

test('ST-H01 /streaming lists its pages', async () => {
  const index = await get('/streaming')
  assert.ok(index.type.startsWith('text/html'))
  for (const page of ['serverz', 'storez', 'clientsz', 'channelsz']) assert.ok(index.text.includes(`/streaming/${page}`))
})

test('ST-H02 ST-H03 /streaming/serverz and storez have the recorded names, types and order', async (t) => {
  const { from } = await scene(t)
  const wanted = recorded('streaming-serverz')
  const found = await json('/streaming/serverz', from)
  sameShape(found, wanted, [])
  assert.deepStrictEqual(order(found, wanted), Object.keys(wanted))
  assert.deepStrictEqual([found.cluster_id, found.version, found.state, 'role' in found], ['test-cluster', '0.25.6', 'STANDALONE', false])
  assert.deepStrictEqual([found.clients, found.subscriptions, found.channels, found.total_msgs, found.in_msgs], [5, 5, 3, 43, 43])
  assert.match(found.uptime, /^(\d+m)?\d+s$/)
  assert.strictEqual(found.unacked_msgs, 10 + 5 + 1 + 10)
  const store = await json('/streaming/storez', from)
  sameShape(store, recorded('streaming-storez'), [])
  assert.deepStrictEqual(order(store, recorded('streaming-storez')), Object.keys(recorded('streaming-storez')))
  assert.deepStrictEqual(store.limits, recorded('streaming-storez').limits)
  assert.deepStrictEqual([store.type, store.total_msgs, store.total_bytes], ['FILE', 43, found.total_bytes])
})

test('ST-H04 /streaming/clientsz has the recorded names, types and order', async (t) => {
  const { from } = await scene(t)
  const wanted = recorded('streaming-clientsz')
  const found = await json('/streaming/clientsz?subs=1', from)
  sameShape({ ...found, clients: [] }, { ...wanted, clients: [] }, [])
  assert.deepStrictEqual(order(found, wanted), Object.keys(wanted))
  assert.deepStrictEqual(found.clients.map((one) => [one.id, one.subs_count]), wanted.clients.map((one) => [one.id, one.subs_count]))
  for (const [at, client] of wanted.clients.entries()) {
    sameShape(found.clients[at], client, [])
    assert.deepStrictEqual(order(found.clients[at], client), Object.keys(client))
  }
  const viewer = await json('/streaming/clientsz?client=viewer&subs=1', from)
  assert.deepStrictEqual(viewer, found.clients[2])
  assert.strictEqual(viewer.subscriptions.orders.length, 2)
  assert.ok(!('subscriptions' in await json('/streaming/clientsz?client=viewer', from)))
  const cut = await json('/streaming/clientsz?offset=1&limit=2', from)
  assert.deepStrictEqual([cut.offset, cut.limit, cut.count, cut.total, cut.clients.map((one) => one.id)], [1, 2, 2, 5, ['publisher', 'viewer']])
  assert.deepStrictEqual((await json('/streaming/clientsz?offset=9', from)).clients, [])
})

test('ST-H05 ST-H06 /streaming/channelsz has the recorded names, types, order and states', async (t) => {
  const { from } = await scene(t)
  const wanted = recorded('streaming-channelsz')
  const found = await json('/streaming/channelsz?subs=1', from)
  assert.deepStrictEqual(order(found, wanted), Object.keys(wanted))
  assert.deepStrictEqual(found.channels.map((one) => [one.name, one.msgs, one.first_seq, one.last_seq, one.subs_count]),
    [['binary', 1, 1, 1, 0], ['orders', 30, 1, 30, 3], ['training.jobs', 12, 1, 12, 2]])
  for (const [at, channel] of wanted.channels.entries()) {
    sameShape(found.channels[at], channel, [])
    assert.deepStrictEqual(order(found.channels[at], channel), Object.keys(channel))
    for (const [which, subscription] of (channel.subscriptions || []).entries()) {
      const one = found.channels[at].subscriptions[which]
      sameShape(one, subscription, [])
      assert.deepStrictEqual(order(one, subscription), Object.keys(subscription))
      for (const key of ['client_id', 'durable_name', 'queue_name', 'is_durable', 'is_offline']) assert.strictEqual(one[key], subscription[key], key)
    }
  }
  const states = found.channels.flatMap((one) => one.subscriptions || []).map((one) => [one.last_sent, one.pending_count])
  assert.deepStrictEqual(states, [[25, 5], [16, 10], [30, 1], [5, 5], [10, 5]])
  const [view, , group] = found.channels[1].subscriptions
  assert.deepStrictEqual([view.max_inflight, view.ack_wait, view.is_stalled, group.is_stalled], [5, 120, true, false])
  assert.ok(!('subscriptions' in found.channels[0]))
})

test('ST-H05 channels are listed, cut and found', async (t) => {
  const { from } = await scene(t)
  assert.deepStrictEqual((await json('/streaming/channelsz', from)).names, ['binary', 'orders', 'training.jobs'])
  const cut = await json('/streaming/channelsz?offset=1&limit=1', from)
  assert.deepStrictEqual([cut.offset, cut.limit, cut.count, cut.total, cut.names], [1, 1, 1, 3, ['orders']])
  const beyond = await json('/streaming/channelsz?offset=3&subs=1', from)
  assert.deepStrictEqual([beyond.count, beyond.total, 'names' in beyond, 'channels' in beyond], [0, 3, false, false])
  const lenient = await json('/streaming/channelsz?offset=x&limit=-3', from)
  assert.deepStrictEqual([lenient.offset, lenient.limit, lenient.count], [0, 1024, 3])
  assert.deepStrictEqual(Object.keys(await json('/streaming/channelsz?channel=orders', from)), ['name', 'msgs', 'bytes', 'first_seq', 'last_seq', 'subs_count'])
  const orders = await json('/streaming/channelsz?channel=orders&subs=1', from)
  assert.strictEqual(orders.subscriptions.length, 3)
  assert.strictEqual((await json('/streaming/channelsz?channel=training%2Ejobs&subs=1', from)).name, 'training.jobs')
})

test('ST-H07 /streaming/isFTActive is 204 for a server by itself', async () => {
  assert.strictEqual((await get('/streaming/isFTActive')).status, 204)
})

test('ST-H08 TL-07 unknown channels and clients are not found, in the words of the old server', async () => {
  const channel = await get('/streaming/channelsz?channel=no.such&subs=1')
  assert.deepStrictEqual([channel.status, channel.text], [404, 'Channel no.such not found\n'])
  const client = await get('/streaming/clientsz?client=nobody')
  assert.deepStrictEqual([client.status, client.text], [404, 'Client nobody not found\n'])
  assert.strictEqual((await get('/streaming/nosuch')).status, 404)
})

test('ST-H01 a server without NATS Streaming has no such pages', async (t) => {
  const from = await own(t, ['--streaming=false'])
  for (const page of ['', '/serverz', '/storez', '/clientsz', '/channelsz', '/isFTActive']) assert.strictEqual((await get(`/streaming${page}`, from)).status, 404)
})

test('ST-H09 what waits, since when, who holds it, what was sent again, what died', async (t) => {
  const from = await own(t)
  const client = await connect(t, from, { id: 'worker' })
  for (let i = 1; i <= 6; i++) await publish(client, 'jobs', 'x'.repeat(100))
  const group = await subscribe(client, 'jobs', { group: 'g', durable: 'd', manual: true, all: true, maxInFlight: 3, ackWait: 60000 })
  const [first, second] = await group.queue.take(3)
  group.stanConnection.nc.publish(group.ackInbox, `+TERM ${first.sequence}`)
  group.stanConnection.nc.publish(group.ackInbox, `-NAK ${second.sequence}`)
  const next = await group.queue.take(2) // the fourth, and the second once more
  assert.deepStrictEqual(next.map((one) => one.sequence).sort(), [2, 4])
  const page = '/streaming/channelsz?channel=jobs&subs=1&held=2'
  const found = await settled(page, from, (now) => now.dead === 1 && now.subscriptions[0].pending_count === 3)
  const [consumer] = found.consumers
  assert.strictEqual(consumer.queue_name, 'd:g')
  assert.deepStrictEqual([consumer.members, consumer.waiting_msgs, consumer.unacked_msgs, consumer.backlog_msgs], [1, 2, 3, 5])
  assert.deepStrictEqual([consumer.oldest_waiting_seq, consumer.oldest_unacked_seq, consumer.redeliveries, consumer.dead], [5, 2, 1, 1])
  assert.ok(consumer.waiting_bytes > 200 && consumer.unacked_bytes > 300)
  assert.strictEqual(consumer.backlog_bytes, consumer.waiting_bytes + consumer.unacked_bytes)
  for (const key of ['oldest_waiting_seconds', 'oldest_unacked_seconds']) assert.ok(consumer[key] > 0 && consumer[key] < 60, key)
  assert.deepStrictEqual([found.backlog_msgs, found.backlog_bytes, found.redeliveries], [5, consumer.backlog_bytes, 1])
  const [subscription] = found.subscriptions
  assert.deepStrictEqual([subscription.consumer, subscription.state, subscription.redeliveries], [consumer.consumer, 'ready', 1])
  assert.strictEqual(subscription.held.length, 2)
  const all = (await json('/streaming/channelsz?channel=jobs&subs=1&held=99', from)).subscriptions[0].held
  assert.deepStrictEqual(all.map((one) => [one.seq, one.attempts]).sort(), [[2, 2], [3, 1], [4, 1]])
  for (const one of all) assert.ok(Math.abs(Date.now() - Date.parse(one.since)) < 60000 && Date.parse(one.until) > Date.parse(one.since))
  assert.ok(!('held' in (await json('/streaming/channelsz?channel=jobs&subs=1', from)).subscriptions[0]))
})

test('ST-H05 pages about very many channels are made in pieces, whoever else asks, goes away or stops the server', async (t) => {
  const count = 3000
  const from = await own(t, ['--max_channels', '0'])
  const client = await StanClient.connect(from)
  t.after(() => client.leave())
  const name = (i) => `many.${(i * 7919) % count}`
  for (let i = 0; i < count; i += 100) await Promise.all(Array.from({ length: 100 }, (_, k) => client.store(name(i + k), 'x')))
  const names = Array.from({ length: count }, (_, i) => name(i)).sort()
  const [all, some, one, jsz, server] = await Promise.all([json(`/streaming/channelsz?limit=${count}`, from), json('/streaming/channelsz?subs=1&offset=2990', from),
    json('/streaming/channelsz?channel=many.7&subs=1', from), json('/jsz?consumers=1&config=1', from), json('/streaming/serverz', from)])
  assert.deepStrictEqual(all.names, names)
  assert.deepStrictEqual(some.channels.map((channel) => channel.name), names.slice(2990))
  assert.deepStrictEqual([one.name, server.channels, jsz.streams, jsz.account_details[0].stream_detail.length], ['many.7', count, count, count])
  const left = Array.from({ length: 8 }, () => {
    const request = http.get({ host: '127.0.0.1', port: from.httpPort, path: '/streaming/channelsz?subs=1&limit=9999', agent: false })
    request.on('error', () => {})
    return request
  })
  await Promise.all(left.slice(0, 4).map((request) => event(request, 'socket')))
  for (const request of left) request.destroy()
  assert.strictEqual((await json('/streaming/clientsz', from)).total, 1)
  const last = Array.from({ length: 6 }, () => get('/streaming/channelsz?subs=1&limit=9999', from).catch(() => {}))
  await json('/varz', from) // these are under way
  await from.stop()
  await Promise.all(last)
})

test('ST-H05 ST-H06 one channel with very many subscriptions is shown whole', async (t) => {
  const from = await own(t)
  const client = await StanClient.connect(from)
  t.after(() => client.leave())
  await client.store('busy', ...Array.from({ length: 300 }, (_, i) => String(i)))
  const all = (count, fields) => Promise.all(Array.from({ length: count }, (_, i) => client.subscribe('busy', fields(i))))
  const members = await all(150, () => ({ qGroup: 'g', durableName: 'd', maxInFlight: 2 }))
  const durables = await all(80, (i) => ({ durableName: `d${i}`, maxInFlight: 1 }))
  await Promise.all(members.map((one) => one.queue.take(2)).concat(durables.map((one) => one.queue.take(1))))
  for (const one of durables.slice(0, 70)) assert.strictEqual(await one.close(), '')
  const page = await json('/streaming/channelsz?channel=busy&subs=1&held=1000', from)
  assert.deepStrictEqual([page.subs_count, page.subscriptions.length, page.consumers.length], [230, 230, 81])
  const key = (one) => `${one.durable_name || one.queue_name} ${one.ack_inbox}`
  assert.strictEqual(new Set(page.subscriptions.map(key)).size, 230)
  assert.deepStrictEqual([10, 70, 150].map((count, i) => page.subscriptions.slice([0, 10, 80][i], [0, 10, 80][i] + count).filter((one) => Boolean(one.queue_name) === (i === 2) && one.is_offline === (i === 1)).length), [10, 70, 150])
  const held = page.subscriptions.filter((one) => one.queue_name).flatMap((one) => one.held.map((message) => message.seq)).sort((a, b) => a - b)
  assert.deepStrictEqual(held, Array.from({ length: 300 }, (_, i) => i + 1))
  const mine = await json(`/streaming/clientsz?client=${client.id}&subs=1`, from)
  assert.deepStrictEqual([mine.subs_count, mine.subscriptions.busy.length], [160, 160])
  const [{ stream_detail: [stream] }] = (await json('/jsz?consumers=true', from)).account_details
  assert.deepStrictEqual([stream.state.consumer_count, stream.consumer_detail.length, new Set(stream.consumer_detail.map((one) => one.name)).size], [81, 81, 81])
})

test('TL-01 TL-02 TL-03 TL-04 TL-05 TL-06 TL-07 KEDA scales on a durable queue group, from before the channel exists', async (t) => {
  const from = await own(t)
  const scaler = { queueGroup: 'gpu', durableName: 'trainers', subject: 'work' }
  assert.deepStrictEqual(await kedaStan(from, scaler), { active: false, lag: 0 })
  const client = await connect(t, from)
  for (let i = 1; i <= 12; i++) await publish(client, 'work', 'x')
  assert.deepStrictEqual(await kedaStan(from, scaler), { active: true, lag: 12 }) // nobody has ever subscribed
  const options = { group: 'gpu', durable: 'trainers', manual: true, all: true, maxInFlight: 5 }
  const one = await subscribe(client, 'work', options)
  const held = await one.queue.take(5)
  const two = await subscribe(client, 'work', options)
  held.push(...await two.queue.take(5))
  assert.deepStrictEqual(await kedaStan(from, scaler), { active: true, lag: 2 })
  const page = await json('/streaming/channelsz?channel=work&subs=1', from)
  for (const subscription of page.subscriptions) {
    for (const [key, type] of Object.entries({ client_id: 'string', queue_name: 'string', inbox: 'string', ack_inbox: 'string', is_durable: 'boolean', is_offline: 'boolean', max_inflight: 'number', last_sent: 'number', pending_count: 'number', is_stalled: 'boolean' })) {
      assert.strictEqual(typeof subscription[key], type, key)
    }
  }
  for (const message of held) message.ack()
  await settled('/streaming/channelsz?channel=work&subs=1', from, (now) => now.subscriptions.some((member) => member.last_sent === 12))
  await ended(one, 'close')
  await ended(two, 'close')
  const away = await kedaStan(from, scaler)
  assert.strictEqual(away.lag, 0) // all were sent
  const offline = await json('/streaming/channelsz?channel=work&subs=1', from)
  assert.deepStrictEqual(offline.subscriptions.map((now) => [now.queue_name, now.is_durable, now.is_offline]), [['trainers:gpu', true, true]])
  await publish(client, 'work', 'y')
  assert.deepStrictEqual(await kedaStan(from, scaler), { active: true, lag: 1 })
})

// What the exporter (0.16) makes of two answers: metrics with their labels.
async function exporter (from) {
  const metrics = []
  const server = await json('/streaming/serverz', from)
  const add = (name, value, labels) => {
    assert.strictEqual(typeof value, 'number', name)
    for (const [key, text] of Object.entries(labels)) assert.strictEqual(typeof text, 'string', `${name} ${key}`)
    const id = JSON.stringify([name, labels])
    assert.ok(!metrics.some((one) => one.id === id), `${id} twice`) // Prometheus would refuse the whole scrape
    metrics.push({ id, name, value, labels })
  }
  for (const key of ['total_bytes', 'in_bytes', 'out_bytes', 'total_msgs', 'in_msgs', 'out_msgs', 'channels', 'subscriptions', 'clients']) add(`nss_server_${key}`, server[key], { server_id: server.server_id })
  add('nss_server_active', Number(server.state === 'FT_ACTIVE'), { server_id: server.server_id })
  const { channels, server_id: id } = await json('/streaming/channelsz?subs=1', from)
  for (const channel of channels) {
    const labels = { server_id: id, server_role: server.role || '', channel: channel.name }
    add('nss_chan_bytes_total', channel.bytes, labels)
    add('nss_chan_msgs_total', channel.msgs, labels)
    add('nss_chan_last_seq', channel.last_seq, labels)
    for (const one of channel.subscriptions || []) {
      let [durable, queue] = [one.durable_name || '', one.queue_name || '']
      if (one.is_durable && queue !== '') {
        const parts = queue.split(':')
        assert.ok(parts.length > 1, 'the exporter takes the second part without looking')
        ;[durable, queue] = parts
      }
      const of = { ...labels, client_id: one.client_id, inbox: one.inbox, queue_name: queue, is_durable: String(one.is_durable), is_offline: String(one.is_offline), durable_name: durable }
      add('nss_chan_subs_last_sent', one.last_sent, of)
      add('nss_chan_subs_pending_count', one.pending_count, of)
      add('nss_chan_subs_max_inflight', one.max_inflight, of)
    }
  }
  return metrics
}

test('TL-20 TL-21 TL-22 TL-23 TL-30 the exporter of the old server reads serverz and channelsz', async (t) => {
  const { from, first, second } = await scene(t)
  const value = (metrics, name, labels = {}) => metrics.filter((one) => one.name === name && Object.keys(labels).every((key) => one.labels[key] === labels[key])).reduce((sum, one) => sum + one.value, 0)
  const metrics = await exporter(from)
  assert.strictEqual(value(metrics, 'nss_server_active'), 0)
  assert.strictEqual(value(metrics, 'nss_chan_msgs_total', { channel: 'orders' }), 30)
  assert.strictEqual(value(metrics, 'nss_chan_subs_pending_count', { channel: 'training.jobs' }), 10)
  assert.strictEqual(value(metrics, 'nss_chan_subs_pending_count', { durable_name: 'trainers', queue_name: 'gpu', client_id: 'worker-1' }), 5)
  assert.strictEqual(value(metrics, 'nss_chan_subs_pending_count', { durable_name: 'ledger', is_offline: 'true' }), 10)
  await ended(first, 'close')
  await ended(second, 'close')
  const later = await exporter(from)
  assert.strictEqual(value(later, 'nss_chan_subs_pending_count', { durable_name: 'trainers', queue_name: 'gpu', is_offline: 'true' }), 10)
})

run({
  before: async () => { server = await Server.start([], { http: true }) },
  after: () => server.stop()
})
