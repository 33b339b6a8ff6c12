// SPDX-License-Identifier: Apache-2.0
// What the processes of the chaos test share: journals that survive a kill, payloads that prove themselves, numbers from a seed.
'use strict'

const crypto = require('crypto')
const fs = require('fs')
const path = require('path')

// npm's clients are installed for the conformance tests.
const clients = require('module').createRequire(path.join(__dirname, '../conformance/package.json'))

/** Milliseconds of the clock that all processes of this machine share and nobody sets. */
function now () { return Number(process.hrtime.bigint() / 1000n) / 1000 }

/** Lines of JSON; each is in the kernel when write() returns, so that a kill -9 loses none. */
class Journal {
  constructor (file) { this.fd = fs.openSync(file, 'a') }
  write (line) { fs.writeSync(this.fd, JSON.stringify(line) + '\n') }
}

/** What a journal holds; a last line that a kill cut short does not count. */
function readJournal (file) {
  if (!fs.existsSync(file)) return []
  return fs.readFileSync(file, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line))
}

/** A generator of numbers in [0, 1): the same ones from the same seed (mulberry32). */
function random (seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6D2B79F5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** A payload of about `size` bytes: id, its check, and bytes that follow from the id. */
function makePayload (id, size) {
  const head = Buffer.from(id + ' ')
  const body = Buffer.alloc(Math.max(0, size - head.length - 40), crypto.createHash('sha256').update(id).digest())
  const rest = Buffer.concat([head, body])
  return Buffer.concat([Buffer.from(crypto.createHash('sha1').update(rest).digest('hex')), rest])
}

/** The id in a payload, or null when it is not as it was made. */
function readPayload (bytes) {
  const rest = bytes.subarray(40)
  if (crypto.createHash('sha1').update(rest).digest('hex') !== bytes.subarray(0, 40).toString('latin1')) return null
  return rest.subarray(0, rest.indexOf(32)).toString()
}

module.exports = { clients, now, Journal, readJournal, random, makePayload, readPayload }
