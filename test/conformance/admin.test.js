// SPDX-License-Identifier: Apache-2.0
// The admin API (docs/admin-api.md) through an unmodified npm `nats`, on workers that are unmodified node-nats-streaming clients: what each request
// shows and does, what is left of it after `kill -9`, and what is refused.
'use strict'

const assert = require('assert')
const fs = require('fs')
const os = require('os')
const path = require('path')
const nats = require('nats')
const { test, run } = require('./lib/tap')
const { Server } = require('./lib/server')
const { connect, publish, subscribe, ended } = require('./lib/stan_client')
const { event, unique, until, within } = require('./lib/wait')

const CONFIG = `
streaming {
  store_limits {
    channels {
      "twice.>" { max_deliver: 2, dead_letter: dead }
      "kept.>"  { max_msgs: 100 }
    }
  }
}
`
let server
let admin

const codec = nats.StringCodec()

/** Asks; what the server answers, errors too. */
async function raw (what, body, nc = admin, timeout = 20000) {
  const text = typeof body === 'string' ? body : JSON.stringify(body || {})
  const answer = await within(nc.request(`$WEIR.API.V1.${what}`, codec.encode(text), { timeout }), what, timeout + 1000)
  return JSON.parse(codec.decode(answer.data))
}

async function ask (what, body, nc) {
  const answer = await raw(what, body, nc)
  assert.ok(!answer.error, `${what} ${JSON.stringify(body)}: ${JSON.stringify(answer.error)}`)
  return answer
}

/** While the server may be away: {} if nothing is heard. */
const soon = (what, body, nc) => raw(what, body, nc, 500).catch(() => ({}))

async function refused (what, body, code, nc) {
  const { error } = await raw(what, body, nc)
  assert.ok(error, `${what} ${JSON.stringify(body).slice(0, 100)} is refused`)
  assert.strictEqual(error.code, code, error.message)
  assert.ok(error.status >= 400 && error.message.length > 0)
  return error
}

async function start (t, flags = []) {
  const started = await Server.start(flags)
  t.after(() => started.stop())
  const nc = await nats.connect({ servers: started.url, maxReconnectAttempts: -1, reconnectTimeWait: 20 })
  t.after(() => nc.close())
  return { started, nc }
}

async function fill (client, channel, count) {
  for (let i = 1; i <= count; i++) await publish(client, channel, `${i}`)
}

const group = (channel, name) => ({ channel, group: name })
const taken = (messages) => messages.map((one) => one.data)
/** Nothing comes for as long as somebody else's request takes there and back a few times. */
async function quiet (queue, nc = admin) {
  for (let i = 0; i < 5; i++) await ask('SERVER.INFO', {}, nc)
  assert.strictEqual(queue.length, 0, 'nothing is delivered')
}

test('a server, its channels, groups, messages and clients are shown', async (t) => {
  const client = await connect(t, server)
  const channel = unique('show')
  await fill(client, channel, 6)
  const worker = await subscribe(client, channel, { group: 'w', durable: 'd', manual: true, maxInFlight: 4, all: true, ackWait: 60000 })
  const got = await worker.queue.take(4)
  got[1].ack()
  await worker.queue.take(1)
  const info = await ask('SERVER.INFO')
  assert.ok(info.server_id.length === 56 && info.totals.channels >= 1 && info.totals.in_flight.messages >= 4 && info.log.state === 'serving')
  const shown = await ask('CHANNEL.INFO', { channel })
  assert.deepStrictEqual([shown.messages, shown.first_sequence, shown.last_sequence, shown.groups, shown.members], [6, 1, 6, 1, 1])
  assert.deepStrictEqual([shown.waiting.messages, shown.in_flight.messages, shown.paused, shown.edited], [1, 4, false, false])
  const one = await ask('GROUP.INFO', group(channel, 'd:w'))
  assert.deepStrictEqual([one.kind, one.durable, one.next_sequence, one.ack_floor, one.members_total], ['queue', true, 6, 0, 1])
  assert.deepStrictEqual([one.waiting.oldest_sequence, one.in_flight.oldest_sequence, one.delivered, one.acked], [6, 1, 5, 1])
  const [member] = one.members
  assert.deepStrictEqual([member.state, member.max_in_flight, member.ack_wait_ms, member.in_flight.messages], ['ready', 4, 60000, 4])
  assert.strictEqual(member.in_flight.oldest_sequence, 1)
  const { messages } = await ask('MSG.LIST', group(channel, 'd:w'))
  assert.deepStrictEqual(messages.map((m) => [m.sequence, m.state]), [[1, 'in_flight'], [3, 'in_flight'], [4, 'in_flight'], [5, 'in_flight'], [6, 'waiting']])
  assert.strictEqual(messages[0].client_id, member.client_id)
  const stored = await ask('MSG.LIST', { channel, from_sequence: 2, limit: 2 })
  assert.deepStrictEqual([stored.messages.map((m) => m.sequence), stored.next_sequence], [[2, 3], 4])
  const message = await ask('MSG.GET', { channel, sequence: 3 })
  assert.deepStrictEqual([Buffer.from(message.data, 'base64').toString(), message.subject, message.size, message.truncated], ['3', channel, 1, false])
  assert.deepStrictEqual((({ data, truncated }) => [data, truncated])(await ask('MSG.GET', { channel, sequence: 3, max_bytes: 0 })), ['', true])
  const who = await ask('CLIENT.INFO', { client_id: member.client_id })
  assert.deepStrictEqual([who.subscriptions, who.in_flight.messages, who.cid, who.groups[0].group_id], [1, 4, member.cid, one.group_id])
  // By id, and by the names of the other kinds.
  assert.strictEqual((await ask('GROUP.INFO', { group_id: one.group_id })).group, 'd:w')
  await subscribe(client, channel, { durable: 'led', manual: true })
  const plain = await subscribe(client, channel, { manual: true })
  assert.strictEqual((await ask('GROUP.INFO', { ...group(channel, 'led'), client_id: client.clientID })).kind, 'durable')
  assert.strictEqual((await ask('GROUP.INFO', group(channel, plain.inbox))).kind, 'subscription')
  const other = await connect(t, server)
  await subscribe(other, channel, { durable: 'led', manual: true })
  await refused('GROUP.INFO', group(channel, 'led'), 'ambiguous')
  assert.strictEqual((await ask('GROUP.LIST', { channel, match: 'l*d' })).total, 2)
})

test('a subscription may ask about itself', async (t) => {
  const client = await connect(t, server)
  const channel = unique('self')
  await fill(client, channel, 3)
  const worker = await subscribe(client, channel, { group: 'w', durable: 'd', manual: true, maxInFlight: 2, all: true })
  await worker.queue.take(2)
  const answer = await admin.request(worker.ackInbox, codec.encode('+INFO'), { timeout: 10000 })
  const shown = JSON.parse(codec.decode(answer.data))
  assert.deepStrictEqual([shown.group, shown.waiting.messages, shown.in_flight.messages, shown.members], ['d:w', 1, 2, 1])
  assert.deepStrictEqual([shown.member.client_id, shown.member.in_flight.messages, shown.member.state], [client.clientID, 2, 'ready'])
})

test('lists go on where they ended, whatever comes and goes', async (t) => {
  const { nc } = await start(t)
  for (let i = 0; i < 25; i++) await ask('CHANNEL.CREATE', { channel: `c.${i}` }, nc)
  const seen = []
  let after
  do {
    const page = await ask('CHANNEL.LIST', { match: 'c.*', limit: 4, ...(after && { after }) }, nc)
    assert.ok(page.channels.length <= 4 && page.total >= 24)
    seen.push(...page.channels.map((one) => one.channel))
    after = page.next
    await ask('CHANNEL.CREATE', { channel: `d.${seen.length}` }, nc)
    if (seen.length === 8) await ask('CHANNEL.RM', { channel: 'c.2' }, nc)
  } while (after)
  assert.deepStrictEqual(seen, Array.from({ length: 25 }, (_, i) => `c.${i}`))
  const all = await ask('CHANNEL.LIST', { limit: 1000 }, nc)
  assert.ok(!all.next && all.channels.length === all.total)
  await refused('CHANNEL.LIST', { after: 'x' }, 'bad_request', nc)
})

test('a paused channel delivers nothing, takes acknowledgements and messages, and goes on', async (t) => {
  const { started, nc } = await start(t)
  const client = await connect(t, started)
  await fill(client, 'jobs', 4)
  const worker = await subscribe(client, 'jobs', { group: 'w', durable: 'd', manual: true, maxInFlight: 2, all: true, ackWait: 60000 })
  const first = await worker.queue.take(2)
  assert.strictEqual((await ask('CHANNEL.PAUSE', { channel: 'jobs' }, nc)).paused, true)
  first.forEach((one) => one.ack())
  await until(async () => (await ask('GROUP.INFO', group('jobs', 'd:w'), nc)).ack_floor === 2, 'the acknowledgements count')
  await publish(client, 'jobs', '5')
  await quiet(worker.queue, nc)
  // A group that is paused itself stays so.
  assert.strictEqual((await ask('GROUP.PAUSE', group('jobs', 'd:w'), nc)).paused, true)
  await started.restart()
  await until(async () => (await soon('CHANNEL.INFO', { channel: 'jobs' }, nc)).paused === true, 'it is still paused')
  assert.strictEqual((await ask('CHANNEL.RESUME', { channel: 'jobs' }, nc)).paused, false)
  await quiet(worker.queue, nc)
  assert.strictEqual((await ask('GROUP.RESUME', group('jobs', 'd:w'), nc)).paused, false)
  assert.deepStrictEqual(taken(await worker.queue.take(2)), ['3', '4'])
})

test('a pause may end by itself', async (t) => {
  const client = await connect(t, server)
  const channel = unique('nap')
  await fill(client, channel, 1)
  const shown = await ask('CHANNEL.PAUSE', { channel, for_ms: 1500 })
  assert.ok(Date.parse(shown.paused_until) > Date.now())
  const begin = Date.now()
  const worker = await subscribe(client, channel, { manual: true, all: true })
  await worker.queue.next()
  assert.ok(Date.now() - begin >= 1000, 'not before its time')
  assert.strictEqual((await ask('CHANNEL.INFO', { channel })).paused, false)
})

test('a group is moved back, forward and to a time', async (t) => {
  const { started, nc } = await start(t)
  const client = await connect(t, started)
  await fill(client, 'jobs', 6)
  const worker = await subscribe(client, 'jobs', { group: 'w', durable: 'd', manual: true, maxInFlight: 10, all: true, ackWait: 60000 })
  const first = await worker.queue.take(6)
  first.forEach((one) => one.ack())
  const at = group('jobs', 'd:w')
  await until(async () => (await ask('GROUP.INFO', at, nc)).ack_floor === 6, 'all is acknowledged')
  assert.strictEqual((await ask('GROUP.SEEK', { ...at, to_sequence: 5 }, nc)).ack_floor, 4)
  const again = await worker.queue.take(2)
  assert.deepStrictEqual([taken(again), again.map((one) => one.redelivered)], [['5', '6'], [false, false]])
  const { messages } = await ask('MSG.LIST', { channel: 'jobs' }, nc)
  await ask('GROUP.SEEK', { ...at, to_time: messages[2].time }, nc)
  assert.deepStrictEqual(taken(await worker.queue.take(4)), ['3', '4', '5', '6'])
  await ask('GROUP.SEEK', { ...at, to: 'new' }, nc)
  assert.strictEqual((await ask('GROUP.INFO', at, nc)).in_flight.messages, 0)
  await started.restart()
  await until(async () => (await soon('GROUP.INFO', at, nc)).next_sequence === 7, 'it is still there')
  await ask('GROUP.SEEK', { ...at, to: 'first' }, nc)
  assert.deepStrictEqual(taken(await worker.queue.take(6)), ['1', '2', '3', '4', '5', '6'])
  await ask('GROUP.SEEK', { ...at, to: 'last' }, nc)
  assert.deepStrictEqual(taken(await worker.queue.take(1)), ['6'])
  for (const wrong of [{}, { to: 'middle' }, { to: 'first', to_sequence: 1 }, { to_time: 'soon' }, { to_sequence: -1 }]) {
    await refused('GROUP.SEEK', { ...at, ...wrong }, 'bad_request', nc)
  }
})

test('a purge takes what is meant, also what is out, for good', async (t) => {
  const { started, nc } = await start(t)
  const client = await connect(t, started)
  await fill(client, 'jobs', 10)
  const worker = await subscribe(client, 'jobs', { group: 'w', durable: 'd', manual: true, maxInFlight: 4, all: true, ackWait: 60000 })
  const first = await worker.queue.take(4)
  const done = await ask('CHANNEL.PURGE', { channel: 'jobs', before_sequence: 4 }, nc)
  assert.deepStrictEqual([done.purged.messages, done.channel.first_sequence, done.channel.messages], [3, 4, 7])
  assert.deepStrictEqual(taken(await worker.queue.take(3)), ['5', '6', '7'])
  first[0].ack()
  const { messages } = await ask('MSG.LIST', { channel: 'jobs' }, nc)
  assert.strictEqual((await ask('CHANNEL.PURGE', { channel: 'jobs', before_time: messages[1].time }, nc)).purged.messages, 1)
  assert.strictEqual((await ask('CHANNEL.PURGE', { channel: 'jobs', keep: 2 }, nc)).channel.first_sequence, 9)
  await started.restart()
  await until(async () => (await soon('CHANNEL.INFO', { channel: 'jobs' }, nc)).messages === 2, 'it is gone')
  const rest = await ask('CHANNEL.PURGE', { channel: 'jobs', all: true }, nc)
  assert.deepStrictEqual([rest.purged.messages, rest.channel.messages, rest.channel.last_sequence], [2, 0, 10])
  for (const wrong of [{}, { all: false }, { all: true, keep: 1 }, { before_time: 'x' }, { before_sequence: -1 }, { keep: 'x' }]) {
    await refused('CHANNEL.PURGE', { channel: 'jobs', ...wrong }, 'bad_request', nc)
  }
})

test('channels and groups are removed, with their members only by force', async (t) => {
  const client = await connect(t, server)
  const channel = unique('rm')
  await fill(client, channel, 2)
  const worker = await subscribe(client, channel, { group: 'w', durable: 'd', manual: true, all: true })
  await worker.queue.take(2)
  await refused('GROUP.RM', group(channel, 'd:w'), 'in_use')
  await refused('CHANNEL.RM', { channel }, 'in_use')
  assert.deepStrictEqual(await ask('GROUP.RM', { ...group(channel, 'd:w'), force: true }), { removed: true })
  await refused('GROUP.INFO', group(channel, 'd:w'), 'group_not_found')
  const anew = await subscribe(client, channel, { group: 'w', durable: 'd', manual: true, all: true })
  assert.strictEqual((await anew.queue.next()).sequence, 1)
  assert.deepStrictEqual(await ask('CHANNEL.RM', { channel, force: true }), { removed: true })
  await refused('CHANNEL.INFO', { channel }, 'channel_not_found')
  await publish(client, channel, 'anew')
  assert.strictEqual((await ask('CHANNEL.INFO', { channel })).last_sequence, 1)
})

test('what is released goes to another worker, at once or later', async (t) => {
  const one = await connect(t, server)
  const two = await connect(t, server)
  const channel = unique('release')
  await fill(one, channel, 3)
  const options = { group: 'w', durable: 'd', manual: true, maxInFlight: 3, all: true, ackWait: 60000 }
  const holder = await subscribe(one, channel, options)
  const held = await holder.queue.take(3)
  const other = await subscribe(two, channel, options)
  const at = group(channel, 'd:w')
  assert.deepStrictEqual(await ask('MSG.RELEASE', { ...at, sequences: [2, 9] }), { released: 1, not_found: [9] })
  assert.strictEqual((await other.queue.next()).sequence, 2)
  // Whoever had it may still acknowledge it.
  held[1].ack()
  await until(async () => (await ask('GROUP.INFO', at)).acked === 1, 'it is acknowledged')
  const later = await ask('MSG.RELEASE', { ...at, sequences: [1], delay_ms: 60000, count: true })
  assert.strictEqual(later.released, 1)
  const listed = await ask('MSG.LIST', { ...at, state: 'delayed' })
  assert.deepStrictEqual([listed.messages.length, listed.messages[0].sequence, listed.messages[0].attempts], [1, 1, 1])
  assert.ok(listed.messages[0].deadline_ms > 30000)
  const { members } = await ask('GROUP.INFO', at)
  const first = members.find((m) => m.in_flight.messages === 1)
  assert.strictEqual((await ask('MSG.RELEASE', { ...at, member: first.member })).released, 1)
  assert.strictEqual((await other.queue.next()).sequence, 3)
  await refused('MSG.RELEASE', at, 'bad_request')
  await refused('MSG.RELEASE', { ...at, member: 4000000000 }, 'bad_request')
})

test('what is killed is dead, and lives again when it is redriven, as fast as is wanted', async (t) => {
  const { started, nc } = await start(t, ['-sc', config(t)])
  const client = await connect(t, started)
  await fill(client, 'twice.a', 8)
  const worker = await subscribe(client, 'twice.a', { group: 'w', durable: 'd', manual: true, maxInFlight: 20, all: true, ackWait: 60000 })
  await worker.queue.take(8)
  const at = group('twice.a', 'd:w')
  assert.deepStrictEqual(await ask('MSG.KILL', { ...at, sequences: [1, 2, 3, 4, 5, 6, 99], reason: 'bad file' }, nc), { killed: 6, not_found: [99] })
  await until(async () => (await ask('GROUP.INFO', at, nc)).dead.messages === 6, 'they are dead')
  await started.restart()
  await until(async () => ((await soon('DLQ.LIST', {}, nc)).groups || []).length === 1, 'they are still dead')
  const [dead] = (await ask('DLQ.LIST', {}, nc)).groups
  assert.deepStrictEqual([dead.channel, dead.group, dead.dead.messages], ['twice.a', 'd:w', 6])
  const { messages } = await ask('MSG.LIST', { ...at, state: 'dead' }, nc)
  assert.deepStrictEqual([messages[0].reason, messages[0].dead_letter], ['bad file', { channel: 'dead', sequence: 1 }])
  assert.strictEqual((await ask('CHANNEL.INFO', { channel: 'dead' }, nc)).messages, 6)
  const job = await ask('DLQ.REDRIVE', { ...at, sequences: [2, 77] }, nc)
  assert.strictEqual(job.total, 2)
  const again = await worker.queue.next()
  assert.deepStrictEqual([again.sequence, again.redelivered, again.count], [2, false, 0])
  await until(async () => (await ask('DLQ.JOBS', {}, nc)).jobs[0].state === 'done', 'the job is done')
  const [over] = (await ask('DLQ.JOBS', {}, nc)).jobs
  assert.deepStrictEqual([over.redriven, over.gone], [1, 1])
  // One a second at most.
  const begin = Date.now()
  const slow = await ask('DLQ.REDRIVE', { ...at, all: true, rate: 1 }, nc)
  assert.strictEqual(slow.total, 5)
  await worker.queue.take(2)
  assert.ok(Date.now() - begin >= 900, 'not faster than was wanted')
  assert.strictEqual((await ask('DLQ.CANCEL', { job: slow.job }, nc)).state, 'cancelled')
  const left = (await ask('GROUP.INFO', at, nc)).dead.messages
  assert.ok(left >= 1 && left <= 3)
  await ask('DLQ.REDRIVE', { ...at, all: true }, nc)
  await worker.queue.take(left)
  assert.strictEqual((await ask('GROUP.INFO', at, nc)).dead.messages, 0)
  assert.deepStrictEqual((await ask('DLQ.LIST', {}, nc)).groups, [])
  await refused('DLQ.CANCEL', { job: 999 }, 'job_not_found', nc)
  await refused('DLQ.REDRIVE', at, 'bad_request', nc)
  await refused('DLQ.REDRIVE', { ...at, all: true, rate: 0 }, 'bad_request', nc)
})

test('who is kicked loses what it has to others', async (t) => {
  const one = await connect(t, server)
  const two = await connect(t, server)
  const channel = unique('kick')
  await fill(one, channel, 2)
  const options = { group: 'w', durable: 'd', manual: true, maxInFlight: 3, all: true, ackWait: 60000 }
  const holder = await subscribe(one, channel, options)
  await holder.queue.take(2)
  const other = await subscribe(two, channel, options)
  assert.deepStrictEqual(await ask('CLIENT.KICK', { client_id: one.clientID }), { kicked: true })
  assert.deepStrictEqual((await other.queue.take(2)).map((m) => m.sequence), [1, 2])
  await refused('CLIENT.INFO', { client_id: one.clientID }, 'client_not_found')
  await refused('CLIENT.KICK', { client_id: one.clientID }, 'client_not_found')
  await refused('CLIENT.KICK', {}, 'bad_request')
  const { cid } = await ask('CLIENT.INFO', { client_id: two.clientID })
  const lost = event(two.nc, 'disconnect')
  await ask('CLIENT.KICK', { cid })
  await lost
  await refused('CLIENT.INFO', { client_id: two.clientID }, 'client_not_found')
  const { clients } = await ask('CLIENT.LIST', { match: 'nobody*' })
  assert.deepStrictEqual(clients, [])
})

test('a connection that is not there is not kicked', async (t) => {
  const error = await refused('CLIENT.KICK', { cid: 987654 }, 'client_not_found')
  assert.strictEqual(error.message, 'there is no connection 987654')
  // With several workers these are on all of them; none is a client of NATS Streaming.
  for (let i = 0; i < 4; i++) {
    const plain = await nats.connect({ servers: server.url, reconnect: false })
    const cid = plain.info.client_id
    const gone = plain.closed()
    assert.deepStrictEqual(await ask('CLIENT.KICK', { cid }), { kicked: true })
    await within(gone, 'it is closed', 20000)
    await until(async () => ((await raw('CLIENT.KICK', { cid })).error || {}).code === 'client_not_found', 'it is gone')
  }
})

test('channels are made and configured by hand, and stay so', async (t) => {
  const { started, nc } = await start(t, ['-sc', config(t)])
  const client = await connect(t, started)
  const made = await ask('CHANNEL.CREATE', { channel: 'kept.a', config: { max_msgs: 3, max_inactivity_ms: 86400000 } }, nc)
  assert.deepStrictEqual([made.edited, made.config.max_msgs, made.config.max_inactivity_ms], [true, 3, 86400000])
  await refused('CHANNEL.CREATE', { channel: 'kept.a' }, 'exists', nc)
  await fill(client, 'kept.a', 5)
  await until(async () => (await ask('CHANNEL.INFO', { channel: 'kept.a' }, nc)).messages === 3, 'its own limit counts')
  await started.restart()
  await until(async () => ((await soon('CHANNEL.INFO', { channel: 'kept.a' }, nc)).config || {}).max_msgs === 3, 'and still does')
  const edited = await ask('CHANNEL.EDIT', { channel: 'kept.a', config: { max_deliver: 2, backoff_ms: [1000, 2000], dead_letter: 'grave', discard: 'new', max_age_ms: 1000000 } }, nc)
  assert.deepStrictEqual([edited.config.max_msgs, edited.config.max_deliver, edited.config.backoff_ms, edited.config.dead_letter, edited.config.discard], [3, 2, [1000, 2000], 'grave', 'new'])
  assert.deepStrictEqual((await ask('CHANNEL.EDIT', { channel: 'kept.a', config: { backoff_ms: [] } }, nc)).config.backoff_ms, [])
  const back = await ask('CHANNEL.EDIT', { channel: 'kept.a', reset: true }, nc)
  assert.deepStrictEqual([back.edited, back.config.max_msgs, back.config.max_deliver, back.config.discard, back.config.max_inactivity_ms], [false, 100, 0, 'old', 0])
  assert.strictEqual((await ask('CHANNEL.CREATE', { channel: 'plain' }, nc)).edited, false)
  for (const wrong of [{}, { reset: false }, { reset: true, config: {} }, { config: { discard: 'all' } }, { config: { dead_letter: 'a..b' } },
    { config: { backoff_ms: Array(17).fill(1) } }, { config: { max_msgs: -1 } }, { config: { max_msgs: 1.5 } }]) {
    await refused('CHANNEL.EDIT', { channel: 'kept.a', ...wrong }, 'bad_request', nc)
  }
  assert.strictEqual((await refused('CHANNEL.EDIT', { channel: 'kept.a', config: { max_mgs: 1 } }, 'unknown_field', nc)).field, 'config.max_mgs')
  await refused('CHANNEL.CREATE', { channel: 'a..b' }, 'bad_request', nc)
  await refused('CHANNEL.CREATE', { channel: 'a.*' }, 'bad_request', nc)
})

test('what cannot be is refused with codes that stay', async (t) => {
  const nested = (n) => '['.repeat(n) + ']'.repeat(n)
  for (const [what, body, code] of [
    ['CHANNEL.INFO', '{', 'bad_json'], ['CHANNEL.INFO', '[]', 'bad_json'], ['CHANNEL.INFO', 'null', 'bad_json'], ['CHANNEL.INFO', '\u0000', 'bad_json'],
    ['CHANNEL.INFO', `{"channel":${nested(3000)}}`, 'bad_json'], ['CHANNEL.INFO', `{"channel":${nested(1000)}}`, 'bad_request'],
    ['CHANNEL.INFO', '{"channel":"a","channel":"b"}', 'bad_json'], ['CHANNEL.INFO', {}, 'bad_request'], ['CHANNEL.INFO', { channel: 7 }, 'bad_request'],
    ['CHANNEL.INFO', { channel: 'x'.repeat(1025) }, 'bad_request'], ['CHANNEL.INFO', { channel: 'a', limit: 1 }, 'unknown_field'],
    ['CHANNEL.INFO', { channel: 'nobody.made.this' }, 'channel_not_found'], ['CHANNEL.INFO', JSON.stringify({ channel: 'x'.repeat(70000) }), 'too_big'],
    ['CHANNEL.LIST', { limit: 1001 }, 'bad_request'], ['CHANNEL.LIST', { limit: 0 }, 'bad_request'], ['CHANNEL.LIST', { limit: 1e300 }, 'bad_request'],
    ['CHANNEL.LIST', { match: 'a..b' }, 'bad_request'], ['CHANNEL.FLY', {}, 'unknown_request'], ['CHANNEL', {}, 'unknown_request'], ['channel.list', {}, 'unknown_request'],
    ['GROUP.INFO', {}, 'bad_request'], ['GROUP.INFO', { group_id: 4294967295 }, 'group_not_found'], ['GROUP.INFO', { group_id: 4294967296 }, 'bad_request'],
    ['GROUP.INFO', { channel: 'nobody.made.this', group: 'g' }, 'channel_not_found'],
    ['MSG.GET', { channel: 'there', sequence: 99 }, 'message_not_found'], ['MSG.GET', { channel: 'there', sequence: 0 }, 'bad_request'],
    ['MSG.LIST', { channel: 'there', state: 'dead' }, 'bad_request'], ['MSG.LIST', { channel: 'there', state: 'odd' }, 'bad_request'],
    ['MSG.LIST', { channel: 'there', from_sequence: -5 }, 'bad_request'], ['GROUP.INFO', { channel: 'there', group: 'g' }, 'group_not_found'],
    ['MSG.KILL', { group_id: 1 }, 'bad_request'], ['MSG.KILL', { group_id: 1, sequences: Array(1001).fill(1) }, 'bad_request'],
    ['CLIENT.INFO', { client_id: 'nobody' }, 'client_not_found']]) await refused(what, body, code)
  // What has no answer to go to is not carried out.
  admin.publish('$WEIR.API.V1.CHANNEL.PURGE', codec.encode('{"channel":"there","all":true}'))
  assert.strictEqual((await ask('CHANNEL.INFO', { channel: 'there' })).messages, 1)
})

test('many requests at once are answered, or told that there are too many', async (t) => {
  const answers = await Promise.all(Array.from({ length: 500 }, () => raw('CHANNEL.LIST', { limit: 1000 })))
  const codes = new Set(answers.map((one) => one.error ? one.error.code : 'ok'))
  assert.ok(codes.has('ok'))
  codes.delete('ok')
  codes.delete('busy')
  assert.deepStrictEqual([...codes], [])
})

test('where there are users, only who is named may ask, and for no more than is named', async (t) => {
  const file = config(t, `
authorization {
  users: [
    { user: op, password: op, permissions: { publish: ["$WEIR.API.>", ">"], subscribe: ">" } }
    { user: view, password: view, permissions: { publish: ["$WEIR.API.V1.*.LIST", "$WEIR.API.V1.*.INFO", "_INBOX.>"], subscribe: ">" } }
    { user: all, password: all }
  ]
}`)
  const started = await Server.start(['-c', file])
  t.after(() => started.stop())
  const login = async (user) => {
    const nc = await nats.connect({ servers: started.url, user, pass: user })
    t.after(() => nc.close())
    return nc
  }
  const op = await login('op')
  await ask('CHANNEL.CREATE', { channel: 'a' }, op)
  const view = await login('view')
  await ask('CHANNEL.INFO', { channel: 'a' }, view)
  await assert.rejects(() => raw('CHANNEL.RM', { channel: 'a' }, view)) // the broker says no
  const all = await login('all')
  const error = await refused('CHANNEL.INFO', { channel: 'a' }, 'not_permitted', all)
  assert.strictEqual(error.status, 403)
  await started.logged(/may not ask for/)
  await started.logged(/connection \d+ asks for CHANNEL\.CREATE \{\\"channel\\":\\"a\\"\}/)
  await ask('CHANNEL.INFO', { channel: 'a' }, op)
})

function config (t, more = '') {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-admin-'))
  const file = path.join(directory, 'weir.conf')
  fs.writeFileSync(file, CONFIG + more)
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return file
}

run({
  before: async () => {
    server = await Server.start([])
    admin = await nats.connect({ servers: server.url })
    await ask('CHANNEL.CREATE', { channel: 'there' })
    const cleanups = []
    const client = await connect({ after: (cleanup) => cleanups.push(cleanup) }, server)
    await publish(client, 'there', 'x')
    await ended(await subscribe(client, 'there', {}), 'close')
    cleanups.forEach((cleanup) => cleanup())
  },
  after: async () => {
    await admin.close()
    await server.stop()
  }
})
