// SPDX-License-Identifier: Apache-2.0
// The same random conversation with Weir and with nats-server: what clients read must be the same, byte by byte. Left out is what
// nobody promises (which member of a group), what newer servers add (the subject in a 503), and where Weir says what was
// wrong and nats-server closes without a word.
'use strict'

const assert = require('assert')
const { isDeepStrictEqual } = require('util')
const { test, run } = require('./lib/tap')
const { Raw } = require('./lib/raw')
const { Server } = require('./lib/server')

const PEER = process.env.NATS_SERVER || '/usr/sbin/nats-server'
const CLIENTS = 3
const STEPS = 250
const FIRST = Number(process.env.SEED || 1)
const COUNT = Number(process.env.SEEDS || 12)

class Random {
  constructor (seed) { this.state = (seed * 2654435761) >>> 0 }

  below (n) {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0
    return Math.floor(this.state / 4294967296 * n)
  }

  of (list) { return list[this.below(list.length)] }

  chance (percent) { return this.below(100) < percent }
}

const WORDS = ['a', 'b', 'c', 'aa', '*', '>', 'ä']

/** A subject of small words, so that many match; sometimes an invalid one. */
function subject (random, wildcards) {
  const words = Array.from({ length: 1 + random.below(3) }, () => random.of(wildcards ? WORDS : WORDS.slice(0, 4)))
  if (random.chance(3)) words.splice(random.below(words.length + 1), 0, '')
  if (random.chance(3)) words.push(random.of(['*', '>', 'b*', '>x']))
  return words.join('.')
}

function header (random) {
  let text = 'NATS/1.0'
  if (random.chance(20)) text += random.of([' 503', ' 100 Idle', ' 404 No Messages'])
  text += '\r\n'
  for (let i = random.below(3); i > 0; i--) text += `${random.of(['A', 'b', 'Key-x'])}: ${random.of(['1', 'two', ''])}\r\n`
  return text + '\r\n'
}

function verb (random, word) {
  return random.chance(10) ? word.toLowerCase() : word
}

const blank = (random) => random.of([' ', ' ', ' ', '  ', '\t'])

function publish (random) {
  const payload = random.of(['', 'x', 'hello\r\n', 'PING\r\n', 'y'.repeat(random.below(5000))])
  const reply = random.chance(40) ? blank(random) + subject(random, false) : ''
  if (random.chance(30)) {
    const head = header(random)
    return `${verb(random, 'HPUB')} ${subject(random, random.chance(5))}${reply}${blank(random)}${head.length} ${head.length + payload.length}\r\n${head}${payload}\r\n`
  }
  return `${verb(random, 'PUB')} ${subject(random, random.chance(5))}${reply}${blank(random)}${payload.length}\r\n${payload}\r\n`
}

const connect = (random) => 'CONNECT ' + JSON.stringify({
  verbose: random.chance(20), pedantic: random.chance(30), echo: random.chance(70), headers: random.chance(80), no_responders: random.chance(40), protocol: random.below(2), name: 'x'
}) + '\r\n'

const MALFORMED = ['PUB\r\n', 'FOO\r\n', 'SUB a\r\n', 'UNSUB\r\n', 'PUB a 2\r\nabc\r\n', 'PUB a 9999999\r\n', 'HPUB a 2\r\n', 'CONNECT {]\r\n', 'SUB ' + 'z'.repeat(5000) + ' 1\r\n', '\r\n',
  "-ERR 'x'\r\n", 'CONNECT {"protocol":7}\r\n', 'MSG a 1 0\r\n\r\n', '+OK\r\n', 'INFO {}\r\n', 'PONG\r\n', 'SUB a b c d\r\n', 'PUB a b c d e\r\n']

function operation (random, client) {
  const kind = random.below(100)
  const sid = 1 + random.below(8)
  if (kind < 30) return `${verb(random, 'SUB')} ${subject(random, true)}${random.chance(20) ? ` group-${client}-${sid}` : ''}${blank(random)}${sid}\r\n`
  if (kind < 42) return `${verb(random, 'UNSUB')} ${sid}${random.chance(50) ? ` ${random.below(6)}` : ''}\r\n`
  if (kind < 94) return publish(random)
  return connect(random)
}

/** Everything the client reads until its PONG or its end; PINGs of the server are its own business. */
async function listen (raw, out) {
  raw.send('PING\r\n')
  for (;;) {
    const line = await Promise.race([raw.line(), raw.closed.then(() => null)])
    if (line === null) {
      out.push(...raw.frames.items.splice(0), 'closed')
      return false
    }
    if (line === 'PONG') return true
    if (line !== 'PING') out.push(line)
  }
}

/**
 * What is not promised is made equal: the order in which the subscriptions of one client get one message, the header of a 503, and
 * that nats-server complains again of a subject when its payload comes in pieces.
 */
function comparable (lines) {
  const plain = lines.map((line) => (/^HMSG .*NATS\/1\.0 503\r\n(Nats-Subject: .*\r\n)?\r\n$/s.test(line) ? `503 for ${line.split(' ')[1]}` : line))
  const message = (line) => line.replace(/^(H?MSG \S+ )\S+/, '$1')
  for (let begin = 0, end; begin < plain.length; begin = end) {
    for (end = begin + 1; end < plain.length && message(plain[end]) === message(plain[begin]);) end++
    plain.splice(begin, end - begin, ...plain.slice(begin, end).sort())
  }
  return plain.filter((line, i) => line !== plain[i - 1] || line !== "-ERR 'Invalid Publish Subject'")
}

/** nats-server may close without a word, and the last words before a close may be lost on their way. */
function sameLines (ours, theirs) {
  const bothClosed = ours[ours.length - 1] === 'closed' && theirs[theirs.length - 1] === 'closed'
  const compared = bothClosed ? Math.min(ours.length, theirs.length) - 1 : undefined
  return isDeepStrictEqual(ours.slice(0, compared), theirs.slice(0, compared))
}

/** One conversation; gives for each step what was sent and what each client read. */
async function converse (server, seed) {
  const random = new Random(seed)
  const clients = []
  const open = async () => { const raw = await Raw.open(server); raw.send(connect(random)); return raw }
  for (let i = 0; i < CLIENTS; i++) clients.push(await open())
  const steps = []
  for (let step = 0; step < STEPS; step++) {
    const who = random.below(CLIENTS)
    // Malformed ones alone: whether what follows them is still carried out depends on how it is cut.
    const sent = random.chance(3) ? random.of(MALFORMED) : Array.from({ length: 1 + random.below(3) }, () => operation(random, who)).join('')
    clients[who].send(Buffer.from(sent))
    const record = { who, sent, read: [] }
    // The one that spoke first, so that what it caused is on its way to the others.
    const order = [who, ...clients.keys()].filter((client, i, all) => all.indexOf(client) === i)
    for (const client of order) {
      const lines = []
      if (!await listen(clients[client], lines)) clients[client] = await open()
      record.read[client] = comparable(lines)
    }
    steps.push(record)
  }
  for (const raw of clients) raw.destroy()
  return steps
}

for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
  test(`CO-P07 the same conversation as with nats-server, number ${seed}`, async (t) => {
    const [ours, theirs] = await Promise.all([Server.start(), Server.start([], { program: PEER })])
    t.after(() => ours.stop())
    t.after(() => theirs.stop())
    const [one, two] = await Promise.all([converse(ours, seed), converse(theirs, seed)])
    for (let step = 0; step < STEPS; step++) {
      const same = one[step].read.every((lines, client) => sameLines(lines, two[step].read[client]))
      const text = (steps) => JSON.stringify(steps[step].read.map((lines) => lines.map((line) => line.slice(0, 120))))
      assert.ok(same, `step ${step}, client ${one[step].who} says ${JSON.stringify(one[step].sent.slice(0, 400))}\n weir: ${text(one)}\n nats: ${text(two)}`)
    }
  })
}

run({ atOnce: 4 })
