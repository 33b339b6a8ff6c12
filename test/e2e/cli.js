// SPDX-License-Identifier: Apache-2.0
// weir channel, group, msg, dlq, client and top as operators call them, while unmodified clients of NATS Streaming publish and work; their help,
// completion and manual pages. Prints TAP.
'use strict'

const assert = require('assert')
const { execFile, spawn } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { test, run } = require('../conformance/lib/tap')
const { Server, program } = require('../conformance/lib/server')
const { connect: connectTo, publish, subscribe } = require('../conformance/lib/stan_client')
const { unique, until } = require('../conformance/lib/wait')

const ROOT = path.join(__dirname, '../..')
const NOUNS = ['channel', 'group', 'msg', 'dlq', 'client']
let server

/** Runs the program to its end; gives { code, out, err }. */
function weir (...args) {
  return new Promise((resolve) => {
    const child = execFile(program, args, { timeout: 60000 }, (error, out, err) => resolve({ code: error ? error.code : 0, out, err }))
    child.stdin.end()
  })
}

/** A command that must do; gives what it said. */
async function does (noun, verb, ...args) {
  const done = await weir(noun, verb, '-s', server.url, ...args)
  assert.deepStrictEqual([done.code, done.err], [0, ''], `${noun} ${verb} ${args.join(' ')}: ${done.err}`)
  return done.out
}

const json = async (...args) => JSON.parse(await does(...args, '--json'))

/** A command that must not do, and says why on one line. */
async function fails (code, wanted, noun, verb, ...args) {
  const done = await weir(noun, verb, '-s', server.url, ...args)
  assert.strictEqual(done.code, code, `${noun} ${verb} ${args.join(' ')}: ${done.out}${done.err}`)
  assert.ok(done.err.includes(wanted), `${done.err} should say ${wanted}`)
}

/** Lines of a table as lists of words. */
const rows = (text) => text.trim().split('\n').map((line) => line.trim().split(/ {2,}/))

/** A channel with so many messages, and a durable queue group `d:workers` of one member that acknowledges nothing by itself. */
async function busy (t, count, options = {}) {
  const client = await connectTo(t, server)
  const channel = unique('jobs')
  for (let i = 1; i <= count; i++) await publish(client, channel, `job ${i}`)
  const worker = await subscribe(client, channel, { durable: 'd', group: 'workers', manual: true, all: true, ackWait: 60000, maxInFlight: 3, ...options })
  await worker.queue.take(Math.min(count, options.maxInFlight || 3))
  return { client, channel, worker, group: 'd:workers' }
}

test('channels and groups are listed with what is pending', async (t) => {
  const { channel, group, client } = await busy(t, 5)
  const [titles, line] = rows(await does('channel', 'ls', channel))
  assert.deepStrictEqual(titles.slice(0, 6), ['CHANNEL', 'MESSAGES', 'BYTES', 'WAITING', 'IN FLIGHT', 'DEAD'])
  assert.deepStrictEqual([line[0], line[1], line[3], line[4], line[5]], [channel, '5', '2', '3', '0'])
  const listed = (await json('group', 'ls', channel)).groups
  assert.deepStrictEqual(listed.map((one) => [one.channel, one.group, one.kind, one.durable, one.waiting.messages, one.in_flight.messages, one.members]),
    [[channel, group, 'queue', true, 2, 3, 1]])
  const shown = await does('group', 'info', channel, group)
  assert.match(shown, /^Waiting +2$/m)
  assert.match(shown, /^In flight +3$/m)
  assert.match(shown, new RegExp(`^ +\\d+  ${client.clientID} `, 'm'))
  assert.match(await does('group', 'info', '--id', String(listed[0].group_id)), new RegExp(`^Channel +${channel}$`, 'm'))
})

test('lists go on page by page, and --limit ends them', async (t) => {
  const { channel, group } = await busy(t, 30)
  const all = (await json('msg', 'ls', channel, '--limit', '0')).messages
  assert.deepStrictEqual(all.map((one) => one.sequence), Array.from({ length: 30 }, (_, i) => i + 1))
  const done = await weir('msg', 'ls', '-s', server.url, channel, group, '--limit', '2')
  assert.strictEqual(done.code, 0)
  assert.strictEqual(rows(done.out).length, 3)
  assert.match(done.err, /there are more; --limit 0 shows all/)
})

test('a message is shown with its payload, which cannot steer a terminal', async (t) => {
  const client = await connectTo(t, server)
  const channel = unique('show')
  await publish(client, channel, 'red \x1b[31m alert\n')
  const shown = await does('msg', 'get', channel, '1')
  assert.ok(shown.includes('red \\x1b[31m alert') && !shown.includes('\x1b'), shown)
  assert.strictEqual(await does('msg', 'get', channel, '1', '--raw'), 'red \x1b[31m alert\n')
  await fails(1, 'message_not_found', 'msg', 'get', channel, '2')
})

test('top shows the server and the groups with the most to do', async (t) => {
  const { channel } = await busy(t, 9)
  const { out: said } = await weir('top', '-s', server.url, '--channel', channel)
  assert.match(said, /^.* cluster \S+ {2}up .* log /m)
  assert.ok(rows(said).some((line) => line[0] === channel && line[2] === '6'), said)
})

test('wrong calls are told, and change nothing', async () => {
  await fails(1, 'channel_not_found', 'channel', 'info', 'nobody')
  await fails(2, 'Usage: weir group info', 'group', 'info', 'jobs')
  await fails(2, 'Usage: weir msg release', 'msg', 'release', 'jobs')
  await fails(2, 'weir msg release: something is missing\n', 'msg', 'release', 'jobs')
  await fails(2, 'weir dlq ls: "workers" is too much\nUsage: weir dlq ls', 'dlq', 'ls', 'jobs', 'workers')
  await fails(2, 'takes a duration', 'channel', 'pause', 'jobs', '--for', 'soon')
  await fails(2, 'takes a size', 'channel', 'create', 'jobs', '--max_bytes', '-3')
  await fails(2, 'takes a number', 'msg', 'get', 'jobs', 'first')
  await fails(2, 'there is no "destroy"', 'channel', 'destroy')
  await fails(2, '--limit takes a number, for lists', 'channel', 'info', 'jobs', '--limit', '3')
  const away = await weir('channel', 'ls', '-s', 'nats://127.0.0.1:1')
  assert.deepStrictEqual([away.code, away.err], [1, 'weir channel ls: cannot connect: Connection refused\n'])
})

test('a server without the API is told from one that is away', async (t) => {
  const peer = await Server.start([], { program: process.env.NATS_SERVER || '/usr/sbin/nats-server' })
  t.after(() => peer.stop())
  const done = await weir('channel', 'ls', '-s', peer.url)
  assert.strictEqual(done.code, 1)
  assert.match(done.err, /no admin API/)
})

test('every verb has a help text that names its options', async () => {
  for (const noun of NOUNS) {
    const { out } = await weir('help', noun)
    const verbs = [...out.matchAll(/^ {2}([a-z]+) +\S/mg)].map((match) => match[1])
    assert.ok(verbs.length >= 3, out)
    for (const verb of verbs) {
      const help = await weir(noun, verb, '--help')
      assert.strictEqual(help.code, 0)
      assert.ok(help.out.startsWith(`Usage: weir ${noun} ${verb}`), help.out)
      assert.ok(help.out.includes('--json'), help.out)
    }
  }
})

/** What bash offers for a line that ends with the word to be completed. */
function completed (...words) {
  const script = `source ${ROOT}/deploy/completion/weir.bash; COMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _weir; printf '%s\\n' "\${COMPREPLY[@]}"`
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', script, 'bash', program, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    child.stdout.on('data', (data) => { out += data })
    child.once('error', reject)
    child.once('close', () => resolve(out.split('\n').map((word) => word.trim()).filter(Boolean)))
  })
}

test('bash completes commands, verbs and options', async () => {
  assert.deepStrictEqual(await completed('gr'), ['group'])
  assert.deepStrictEqual(await completed('group', 're'), ['resume'])
  assert.deepStrictEqual(await completed('channel', 'purge', '--before'), ['--before_sequence', '--before_time'])
  assert.deepStrictEqual(await completed('help', 'ch'), ['channel', 'check'])
  assert.ok((await completed('serve', '--htt')).includes('--http_port'))
})

test('there is a manual page for every command', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-man-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  await new Promise((resolve, reject) => execFile(path.join(ROOT, 'script/man'), [program, directory], (error) => error ? reject(error) : resolve()))
  const listed = [...(await weir('help')).out.matchAll(/^ {2}([a-z]+) +\S/mg)].map((match) => `weir-${match[1]}.1`)
  assert.deepStrictEqual(fs.readdirSync(directory).sort(), ['weir.1', ...listed].sort())
  const page = fs.readFileSync(path.join(directory, 'weir-channel.1'), 'utf8')
  assert.match(page, /^\.TH WEIR\\-CHANNEL 1 /)
  assert.ok(page.includes('.SH weir channel purge') && page.includes('\\-\\-before_sequence'), page)
})

test('a paused group gets nothing until it is resumed, a channel likewise', async (t) => {
  for (const noun of ['group', 'channel']) {
    const { channel, worker, group, client } = await busy(t, 1)
    const names = noun === 'group' ? [channel, group] : [channel]
    assert.match(await does(noun, 'pause', ...names), /^Paused +yes$/m)
    await publish(client, channel, 'later')
    assert.strictEqual((await json('group', 'info', channel, group)).waiting.messages, 1)
    assert.match(await does(noun, 'resume', ...names), /^Paused +no$/m)
    const [{ data }] = await worker.queue.take(1)
    assert.strictEqual(data, 'later')
  }
})

test('what is out is released, and goes to others', async (t) => {
  const { channel, group, worker } = await busy(t, 3)
  assert.match(await does('msg', 'release', channel, group, '2', '99'), /^Released +1\n.*99$/m)
  const [{ sequence }] = await worker.queue.take(1)
  assert.strictEqual(sequence, 2)
  assert.match(await does('msg', 'release', channel, group, '3', '--delay', '1h', '--count'), /^Released +1$/m)
  assert.deepStrictEqual((await json('msg', 'ls', channel, group, '--state', 'delayed')).messages.map((one) => one.sequence), [3])
})

test('killed messages are dead until they are redriven', async (t) => {
  const { channel, group, worker } = await busy(t, 3)
  await fails(2, 'it takes --yes', 'msg', 'kill', channel, group, '1', '2')
  assert.match(await does('msg', 'kill', channel, group, '1', '2', '--yes', '--reason', 'not a picture'), /^Killed +2$/m)
  const dead = (await json('msg', 'ls', channel, group, '--state', 'dead')).messages
  assert.deepStrictEqual(dead.map((one) => [one.sequence, one.state, one.reason]), [[1, 'dead', 'not a picture'], [2, 'dead', 'not a picture']])
  assert.deepStrictEqual((await json('dlq', 'ls', channel)).groups.map((one) => [one.channel, one.group, one.dead.messages]), [[channel, group, 2]])
  assert.strictEqual(await does('dlq', 'redrive', channel, group, '--all', '--rate', '100'), '2 redriven, 0 gone\n')
  assert.deepStrictEqual((await worker.queue.take(2)).map((one) => one.sequence), [1, 2])
  assert.match(await does('dlq', 'jobs'), / done /)
})

test('a group begins elsewhere, a channel is purged and removed', async (t) => {
  const { channel, group, worker } = await busy(t, 4, { maxInFlight: 10 })
  await does('group', 'seek', channel, group, '--to_sequence', '3', '--yes')
  assert.deepStrictEqual((await worker.queue.take(2)).slice(-2).map((one) => one.sequence), [3, 4])
  assert.match(await does('channel', 'purge', channel, '--keep', '1', '--yes'), /^Purged +3$/m)
  await fails(1, 'in_use', 'channel', 'rm', channel, '--yes')
  assert.match(await does('channel', 'rm', channel, '--force', '--yes'), /^Removed +yes$/m)
  await fails(1, 'channel_not_found', 'channel', 'info', channel)
})

test('channels are made and edited, with sizes and durations as people write them', async (t) => {
  const channel = unique('made')
  const made = await json('channel', 'create', channel, '--max_bytes', '64M', '--max_age', '1h30m', '--backoff', '1s,10s', '--max_deliver', '5')
  assert.deepStrictEqual([made.config.max_bytes, made.config.max_age_ms, made.config.backoff_ms, made.config.max_deliver], [64 << 20, 5400000, [1000, 10000], 5])
  const edited = await json('channel', 'edit', channel, '--max_deliver', '7')
  assert.deepStrictEqual([edited.config.max_bytes, edited.config.max_deliver], [64 << 20, 7])
  await fails(1, 'exists', 'channel', 'create', channel)
})

test('clients are listed, shown and kicked', async (t) => {
  const { client, channel, group } = await busy(t, 2)
  const id = (await json('client', 'ls', '--limit', '0')).clients.map((one) => one.client_id)
  const mine = id.find((one) => one === client.clientID)
  assert.ok(mine, `${client.clientID} should be among ${id}`)
  const shown = await json('client', 'info', mine)
  assert.deepStrictEqual(shown.groups.map((one) => [one.channel, one.group, one.in_flight.messages]), [[channel, group, 2]])
  await does('client', 'kick', mine, '--yes')
  await fails(1, 'client_not_found', 'client', 'info', mine)
  assert.strictEqual((await json('group', 'info', channel, group)).members_total, 0)
})

test('who may not is told so at once, whoever says it', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-cli-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  const file = path.join(directory, 'users.conf')
  fs.writeFileSync(file, `authorization { users: [
    { user: viewer, password: look, permissions: { publish: ["$WEIR.API.V1.*.LIST"] } }
    { user: deaf, password: ear, permissions: { publish: ["$WEIR.API.>"], subscribe: { deny: ["_INBOX.>"] } } }
    { user: other, password: word } ] }\n`)
  const guarded = await Server.start(['-c', file])
  t.after(() => guarded.stop())
  const as = (user, ...args) => weir(...args, '-s', guarded.url.replace('://', `://${user}@`), '--timeout', '50s')
  assert.strictEqual((await as('viewer:look', 'channel', 'ls')).code, 0)
  for (const [user, wanted] of [['viewer:look', 'Publish to "$WEIR.API.V1.CHANNEL.PAUSE"'], ['deaf:ear', 'Subscription to "_INBOX.'], ['other:word', 'a publish permission']]) {
    const began = Date.now()
    const done = await as(user, 'channel', 'pause', 'jobs')
    assert.ok(done.code === 1 && done.err.includes(wanted) && done.err.includes('not_permitted'), `${user}: ${done.err}`)
    assert.ok(Date.now() - began < 40000, `${user} waited`)
  }
})

run({
  async before () { server = await Server.start([]) },
  async after () { await server.stop() }
})
