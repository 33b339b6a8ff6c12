// SPDX-License-Identifier: Apache-2.0
// Pages of the monitoring port, and their comparison with recorded ones.
'use strict'

const assert = require('assert')
const fs = require('fs')
const http = require('http')
const path = require('path')
const { within } = require('./wait')

/** A recorded answer. */
function recorded (name) {
  return JSON.parse(fs.readFileSync(path.join(__dirname, '../recorded', `${name}.json`), 'utf8'))
}

/** { status, type, date, text } */
function get (page, from) {
  return within(new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port: from.httpPort, path: page, agent: false }, (response) => {
      let text = ''
      response.on('data', (data) => { text += data })
      response.on('end', () => resolve({ status: response.statusCode, type: response.headers['content-type'], date: response.headers.date, text }))
    }).on('error', reject)
  }), `GET ${page}`)
}

/** The page, which must be there, parsed. */
async function json (page, from) {
  const answer = await get(page, from)
  assert.strictEqual(answer.status, 200, `${page}: ${answer.text}`)
  assert.strictEqual(answer.type, 'application/json')
  return JSON.parse(answer.text)
}

function typeOf (value) {
  return Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value
}

/** Every field of `wanted` is in `found` with the same type; the first member of an array stands for all. `absent`: paths that need not be. */
function sameShape (found, wanted, absent, at = '') {
  assert.strictEqual(typeOf(found), typeOf(wanted), `the type of ${at || 'the page'}`)
  if (Array.isArray(wanted)) {
    if (wanted.length > 0 && found.length > 0 && !absent.includes(`${at}[]`)) sameShape(found[0], wanted[0], absent, `${at}[]`)
  } else if (wanted && typeof wanted === 'object') {
    for (const key of Object.keys(wanted)) {
      const to = at ? `${at}.${key}` : key
      if (absent.includes(to)) continue
      assert.ok(key in found, `${to} is missing`)
      sameShape(found[key], wanted[key], absent, to)
    }
  }
}

module.exports = { recorded, get, json, sameShape }
