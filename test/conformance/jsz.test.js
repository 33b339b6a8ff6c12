// SPDX-License-Identifier: Apache-2.0
// /jsz: channels as streams, durables and queue groups as consumers (CO-H10), for tools that know JetStream only. Names and types as recorded
// from nats-server 2.15.1 (recorded/); and what KEDA's nats-jetstream scaler and today's exporter make of it (TL-10…TL-17, TL-24…TL-27),
// computed as they do it.
'use strict'

const assert = require('assert')
const nats = require('nats')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { kedaJetstream } = require('./lib/keda')
const { recorded, get: getPage, json, sameShape } = require('./lib/page')
const { test, run } = require('./lib/tap')
const { Server } = require('./lib/server')
const { connect, ended, publish, subscribe } = require('./lib/stan_client')
const { until } = require('./lib/wait')

let server // with ten jobs for a durable queue group of one, three in flight; an idle channel; and one with a name full of escapes

// What is there in JetStream only: how a consumer is told how to deliver; when something was last delivered.
const ABSENT = ['limits.default_max_consumers', 'account_details[].stream_detail[].config.metadata._nats.req.level',
  'account_details[].stream_detail[].consumer_detail[].config.max_waiting',
  'account_details[].stream_detail[].consumer_detail[].config.metadata._nats.req.level',
  'account_details[].stream_detail[].consumer_detail[].delivered.last_active',
  'account_details[].stream_detail[].consumer_detail[].ack_floor.last_active']

async function own (t, flags = []) {
  const started = await Server.start(flags, { http: true })
  t.after(() => started.stop())
  return started
}

const jobs = { group: 'gpu', durable: 'trainers', manual: true, all: true, maxInFlight: 3, ackWait: 120000 }

async function fill (from, context) {
  const client = await connect(context, from, { id: 'worker' })
  const group = await subscribe(client, 'training.jobs', jobs)
  for (let i = 1; i <= 10; i++) await publish(client, 'training.jobs', `job ${i}`)
  const [first] = await group.queue.take(3)
  first.ack()
  await group.queue.take(1)
  await publish(client, 'a%\\c', 'x')
  await subscribe(client, 'idle', { durable: 'd:x', manual: true })
  await until(async () => consumerOf(await json('/jsz?consumers=true', from), 'training%2Ejobs', 'trainers:gpu').ack_floor.stream_seq === 1, 'the acknowledgement counts')
  return { client, group }
}

const streams = (page) => page.account_details[0].stream_detail
const streamOf = (page, name) => streams(page).find((one) => one.name === name)
const consumerOf = (page, stream, name) => streamOf(page, stream).consumer_detail.find((one) => one.name === name)

for (const [name, page] of [['jsz', '/jsz'], ['jsz-accounts', '/jsz?accounts=true'], ['jsz-consumers', '/jsz?acc=$G&config=true&consumers=true'], ['jsz-exporter', '/jsz?consumers=true&config=true&raft=true']]) {
  test(`CO-H10 ${page} has the recorded names and types`, async () => {
    const found = await json(page, server)
    const wanted = recorded(name)
    if (found.account_details && found.account_details[0].stream_detail) found.account_details[0].stream_detail = [streamOf(found, 'training%2Ejobs')]
    sameShape(found, wanted, ABSENT)
    const order = (one, of) => Object.keys(one).filter((key) => key in of)
    assert.deepStrictEqual(order(found, wanted), Object.keys(wanted))
    if (name === 'jsz-exporter') {
      const [stream, like] = [streams(found)[0], streams(wanted)[0]]
      assert.deepStrictEqual(order(stream, like), Object.keys(like))
      assert.deepStrictEqual(order(stream.consumer_detail[0], like.consumer_detail[0]), Object.keys(like.consumer_detail[0]))
    }
  })
}

test('CO-H10 what a page of /jsz has is what was asked for', async () => {
  const details = async (query) => (await json(`/jsz?${query}`, server)).account_details
  assert.strictEqual(await details('config=true'), undefined)
  assert.strictEqual(await details('acc=nope&consumers=true'), undefined)
  assert.strictEqual(await details('accounts=true&offset=1'), undefined)
  assert.ok(!('stream_detail' in (await details('acc=$G'))[0]))
  const [{ stream_detail: [stream] }] = await details('streams=true')
  assert.ok(!('config' in stream) && !('consumer_detail' in stream) && 'state' in stream)
  const refused = await getPage('/jsz?limit=x', server)
  assert.deepStrictEqual([refused.status, refused.text], [400, 'Error decoding int for \'limit\': strconv.Atoi: parsing "x": invalid syntax'])
  const page = await json('/jsz?leader-only=true', server)
  assert.deepStrictEqual([page.streams, page.consumers, page.messages, page.accounts, page.total], [3, 2, 11, 1, 1])
})

test('TL-12 channels are streams with escaped names, and nothing is lost in them', async () => {
  const page = await json('/jsz?streams=true&config=true', server)
  const names = streams(page).map((one) => one.name)
  for (const name of names) assert.match(name, /^[^ \t\r\n\f.*>/\\]+$/)
  assert.deepStrictEqual(streams(page).map((one) => one.config.subjects), [['training.jobs'], ['a%\\c'], ['idle']])
  for (const one of streams(page)) assert.strictEqual(decodeURIComponent(one.name), one.config.subjects[0])
  assert.deepStrictEqual(names, ['training%2Ejobs', 'a%25%5Cc', 'idle'])
  const empty = streamOf(page, 'idle')
  assert.deepStrictEqual([empty.state.messages, empty.state.first_seq, empty.state.first_ts, empty.state.consumer_count], [0, 0, '0001-01-01T00:00:00Z', 1])
  assert.ok(Math.abs(Date.now() - Date.parse(streamOf(page, names[0]).state.first_ts)) < 600000)
})

test('TL-12 durables that would have the same name are told apart', async (t) => {
  const from = await own(t)
  const [one, two] = [await connect(t, from, { id: 'one' }), await connect(t, from, { id: 'two' })]
  await subscribe(one, 'shared', { durable: 'd' })
  await subscribe(two, 'shared', { durable: 'd' })
  await subscribe(one, 'shared', { group: 'g' })
  await subscribe(one, 'shared', { durable: ':g' })
  await subscribe(one, 'shared', {}) // by itself: no consumer
  const page = await json('/jsz?consumers=true&config=true', from)
  assert.deepStrictEqual(streams(page)[0].consumer_detail.map((consumer) => [consumer.name, consumer.config.metadata['weir.client']]),
    [['d', 'one'], ['d@two', 'two'], [':g', undefined], [':g@one', 'one']])
  assert.strictEqual(page.consumers, 4)
})

test('TL-10 TL-11 TL-13 TL-14 TL-15 TL-16 TL-17 KEDA scales on a durable queue group as on a consumer', async (t) => {
  const from = await own(t)
  const { group } = await fill(from, t)
  const scaler = { stream: 'training%2Ejobs', consumer: 'trainers:gpu' }
  assert.deepStrictEqual(await kedaJetstream(from, scaler), { active: true, lag: 9 }) // 3 in flight, 6 that wait
  await assert.rejects(kedaJetstream(from, { ...scaler, consumer: 'nobody' }), /not there/)
  await assert.rejects(kedaJetstream(from, { ...scaler, account: 'A' }), /not there/)
  const page = await json('/jsz?acc=$G&consumers=true&config=true', from)
  const name = (await json('/varz', from)).server_name
  assert.deepStrictEqual([page.meta_cluster.cluster_size, page.meta_cluster.leader], [1, name])
  for (const stream of streams(page)) {
    for (const one of [stream, ...(stream.consumer_detail || [])]) assert.strictEqual(one.cluster.leader, name)
  }
  const consumer = consumerOf(page, 'training%2Ejobs', 'trainers:gpu')
  assert.deepStrictEqual([consumer.stream_name, consumer.config.durable_name, consumer.num_ack_pending, consumer.num_pending, consumer.num_redelivered, consumer.num_waiting], ['training%2Ejobs', 'trainers:gpu', 3, 6, 0, 0])
  assert.deepStrictEqual([consumer.delivered, consumer.ack_floor], [{ consumer_seq: 4, stream_seq: 4 }, { consumer_seq: 1, stream_seq: 1 }])
  assert.deepStrictEqual([consumer.config.ack_wait, consumer.config.max_ack_pending, consumer.push_bound], [120e9, 3, true])
  await ended(group, 'close')
  assert.deepStrictEqual(await kedaJetstream(from, scaler), { active: true, lag: 9 }) // nobody is there: somebody should come
  const client = await connect(t, from)
  const again = await subscribe(client, 'training.jobs', jobs)
  const redelivered = async () => consumerOf(await json('/jsz?consumers=true', from), scaler.stream, scaler.consumer).num_redelivered
  await again.queue.take(3)
  assert.strictEqual(await redelivered(), 3)
  again.on('message', (message) => message.ack())
  again.stanConnection.nc.publish(again.ackInbox, '-NAK')
  await until(async () => (await kedaJetstream(from, scaler)).lag === 0, 'all is done')
  assert.deepStrictEqual(await kedaJetstream(from, scaler), { active: false, lag: 0 })
})

/** What the exporter's jsz collector makes of its four requests. A metric that comes twice is an error, as in Prometheus. */
async function exporter (from) {
  const metrics = new Map()
  const { server_name: serverName } = await json('/varz', from)
  for (const page of ['/jsz?accounts=true', '/jsz?consumers=true&config=true&raft=true', '/jsz?streams=true', '/jsz']) {
    const seen = new Set()
    const found = await json(page, from)
    const meta = found.meta_cluster
    const labels = { server_id: found.server_id, server_name: serverName, cluster: meta.name, meta_leader: meta.leader, is_meta_leader: String(meta.leader === serverName) }
    const add = (name, value, of) => {
      assert.strictEqual(typeof value, 'number', `${page} ${name}`)
      for (const [key, text] of Object.entries(of)) assert.strictEqual(typeof text, 'string', `${name} ${key}`)
      const id = JSON.stringify([name, of])
      assert.ok(!seen.has(id), `${page}: ${id} twice`)
      seen.add(id)
      metrics.set(id, { name, value, labels: of })
    }
    add('jetstream_server_jetstream_disabled', Number(Boolean(found.disabled)), labels)
    for (const [name, value] of [['total_streams', found.streams], ['total_consumers', found.consumers], ['total_messages', found.messages], ['total_message_bytes', found.bytes], ['max_memory', found.config.max_memory], ['max_storage', found.config.max_storage]]) add(`jetstream_server_${name}`, value, labels)
    for (const account of found.account_details || []) {
      const ofAccount = { ...labels, account: account.id, account_name: account.name, account_id: account.id }
      for (const [name, key] of [['max_memory', 'reserved_memory'], ['max_storage', 'reserved_storage'], ['storage_used', 'storage'], ['memory_used', 'memory']]) add(`jetstream_account_${name}`, account[key], ofAccount)
      for (const stream of account.stream_detail || []) {
        const ofStream = { ...ofAccount, stream_name: stream.name, stream_leader: stream.cluster.leader, is_stream_leader: String(stream.cluster.leader === serverName), stream_raft_group: stream.stream_raft_group || '' }
        for (const [name, key] of [['total_messages', 'messages'], ['total_bytes', 'bytes'], ['first_seq', 'first_seq'], ['last_seq', 'last_seq'], ['consumer_count', 'consumer_count']]) add(`jetstream_stream_${name}`, stream.state[key], ofStream)
        add('jetstream_stream_subject_count', stream.state.num_subjects || 0, ofStream)
        if (stream.config) {
          add('jetstream_stream_limit_bytes', stream.config.max_bytes, ofStream)
          add('jetstream_stream_limit_messages', stream.config.max_msgs, ofStream)
        }
        for (const consumer of stream.consumer_detail || []) {
          const ofConsumer = { ...ofStream, consumer_name: consumer.name, consumer_leader: consumer.cluster.leader, is_consumer_leader: String(consumer.cluster.leader === serverName), consumer_desc: (consumer.config && consumer.config.description) || '' }
          for (const [name, value] of [['delivered_consumer_seq', consumer.delivered.consumer_seq], ['delivered_stream_seq', consumer.delivered.stream_seq], ['num_ack_pending', consumer.num_ack_pending], ['num_redelivered', consumer.num_redelivered], ['num_waiting', consumer.num_waiting], ['num_pending', consumer.num_pending], ['ack_floor_stream_seq', consumer.ack_floor.stream_seq], ['ack_floor_consumer_seq', consumer.ack_floor.consumer_seq]]) add(`jetstream_consumer_${name}`, value, ofConsumer)
        }
      }
    }
  }
  return [...metrics.values()]
}

test('TL-24 TL-25 TL-26 the exporter sees streams and consumers, led by this server', async () => {
  const metrics = await exporter(server)
  const value = (name, labels = {}) => {
    const found = metrics.filter((one) => one.name === name && Object.keys(labels).every((key) => one.labels[key] === labels[key]))
    assert.strictEqual(found.length, 1, name)
    for (const key of Object.keys(found[0].labels)) if (key.startsWith('is_')) assert.strictEqual(found[0].labels[key], 'true', key)
    return found[0].value
  }
  assert.strictEqual(value('jetstream_server_jetstream_disabled'), 0)
  assert.deepStrictEqual([value('jetstream_server_total_streams'), value('jetstream_server_total_consumers'), value('jetstream_server_total_messages')], [3, 2, 11])
  assert.ok(value('jetstream_account_storage_used') > 0)
  const stream = { stream_name: 'training%2Ejobs' }
  assert.deepStrictEqual([value('jetstream_stream_total_messages', stream), value('jetstream_stream_last_seq', stream), value('jetstream_stream_limit_messages', stream)], [10, 10, 1000000])
  const consumer = { ...stream, consumer_name: 'trainers:gpu' }
  assert.deepStrictEqual([value('jetstream_consumer_num_pending', consumer), value('jetstream_consumer_num_ack_pending', consumer), value('jetstream_consumer_ack_floor_stream_seq', consumer), value('jetstream_consumer_delivered_stream_seq', consumer)], [6, 3, 1, 4])
})

test('TL-27 every number of /varz is one that a collector can take', async () => {
  const walk = (value, at) => {
    if (typeof value === 'number') assert.ok(Number.isFinite(value), at)
    else if (value && typeof value === 'object') for (const key of Object.keys(value)) walk(value[key], `${at}_${key}`)
  }
  const page = await json('/varz', server)
  walk(page, 'gnatsd_varz')
  for (const key of ['server_id', 'server_name', 'version', 'start', 'config_load_time']) assert.strictEqual(typeof page[key], 'string', key)
})

test('CO-Y90 clients of the system account ask for the same page', async (t) => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'weir-jsz-')), 'server.conf')
  fs.writeFileSync(file, 'accounts { $SYS { users: [ {user: s, password: p} ] } }\n')
  t.after(() => fs.rmSync(path.dirname(file), { recursive: true }))
  const from = await own(t, ['-c', file])
  const nc = await nats.connect({ servers: from.url, user: 's', pass: 'p' })
  t.after(() => nc.close())
  const client = await connect(t, from)
  await subscribe(client, 'asked', { durable: 'd' })
  const codec = nats.JSONCodec()
  const answer = codec.decode((await nc.request('$SYS.REQ.SERVER.PING.JSZ', codec.encode({ account: '$G', streams: true, consumer: true, config: true }), { timeout: 15000 })).data)
  assert.deepStrictEqual(streams(answer.data).map((one) => [one.name, one.config.subjects, one.consumer_detail[0].name]), [['asked', ['asked'], 'd']])
})

const cleanups = []
run({
  before: async () => {
    server = await Server.start([], { http: true })
    await fill(server, { after: (cleanup) => cleanups.push(cleanup) })
  },
  after: async () => {
    for (const cleanup of cleanups) await cleanup()
    await server.stop()
  }
})
