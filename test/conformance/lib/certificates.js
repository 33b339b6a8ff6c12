// SPDX-License-Identifier: Apache-2.0
// Certificates for a suite, made by the openssl command in a directory of their own, valid for a day.
'use strict'

const { execFileSync } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')

class Certificates {
  constructor () {
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-certificates-'))
    process.on('exit', () => fs.rmSync(this.directory, { recursive: true, force: true }))
  }

  path (name) { return path.join(this.directory, name) }
  read (name) { return fs.readFileSync(this.path(name)) }

  openssl (...args) { execFileSync('openssl', args, { cwd: this.directory, stdio: ['ignore', 'ignore', 'pipe'] }) }

  authority (name) {
    this.openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-keyout', `${name}.key`,
      '-out', `${name}.pem`, '-subj', `/CN=${name}`)
  }

  /** NAME.pem and NAME.key, signed by an authority. Of zero days: expired. */
  sign (name, authority, { subject = `/O=Weir/OU=test/CN=${name}`, names = `DNS:localhost,IP:127.0.0.1,email:${name}@example.com`, days = 1, key = 'ec' } = {}) {
    fs.writeFileSync(this.path(`${name}.ext`), `subjectAltName=${names}\n`)
    const kind = key === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : [key]
    this.openssl('req', '-newkey', ...kind, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject)
    this.openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial',
      '-extfile', `${name}.ext`, '-out', `${name}.pem`, '-days', String(days))
  }

  /** A file with this text; its path. */
  write (name, text) {
    fs.writeFileSync(this.path(name), text)
    return this.path(name)
  }
}

module.exports = { Certificates }
