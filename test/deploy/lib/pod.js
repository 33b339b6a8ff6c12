// SPDX-License-Identifier: Apache-2.0
// A pod of a rendered StatefulSet, of one container: its arguments, its variables, the files it finds, and what the kubelet asks of it.
'use strict'

const fs = require('fs')
const path = require('path')
const { FOLDER, pick, render } = require('./kubectl')

class Pod {
  /** Number `ordinal` of the StatefulSet weir of an overlay. */
  constructor (overlay, ordinal = 0) {
    this.objects = render(overlay)
    this.set = pick(this.objects, 'StatefulSet', 'weir')
    this.spec = this.set.spec.template.spec
    this.container = this.spec.containers[0]
    this.name = `${this.set.metadata.name}-${ordinal}`
  }

  /** The container's arguments, with its variables put in. */
  args () {
    const values = Object.fromEntries(this.container.env.map((one) => {
      if (one.valueFrom.fieldRef.fieldPath !== 'metadata.name') throw new Error(`${one.name}: not known here`)
      return [one.name, this.name]
    }))
    return this.container.args.map((arg) => arg.replace(/\$\((\w+)\)/g, (all, name) => values[name]))
  }

  /** The folder that is mounted at /etc/weir: the ConfigMap as it is, and the Secret of the example. */
  writeConfig (directory) {
    fs.mkdirSync(directory, { recursive: true })
    for (const [name, text] of Object.entries(pick(this.objects, 'ConfigMap', 'weir-config').data)) {
      fs.writeFileSync(path.join(directory, name), text)
    }
    fs.copyFileSync(path.join(FOLDER, 'one-server/users.conf.example'), path.join(directory, 'users.conf'))
  }

  probe (name) { return this.container[`${name}Probe`] }

  port (name) { return this.container.ports.find((port) => port.name === name).containerPort }
}

/** The passwords of users.conf.example. */
const USERS = { app: 'change-me-app', admin: 'change-me-admin' }

module.exports = { Pod, USERS }
