// SPDX-License-Identifier: Apache-2.0
// Channels: what they hold. One of them with its groups and its messages.
import { ask, askAll } from '../api.js'
import { actions, button, pauseButton, purgeButton, run } from '../act.js'
import { age, badge, bytes, confirm, count, facts, fill, h, table, tile, time } from '../dom.js'
import { groupTable } from './groups.js'

const MOST = 1000
const SHOWN = 50

const limit = (value, write) => value ? write(value) : 'none'

export const channels = {
  title: () => 'Channels',
  show (place) {
    const filter = h('input', { type: 'search', 'aria-label': 'Only channels with these letters', placeholder: 'Filter' })
    const list = h('section', {})
    let found = null
    const draw = () => {
      const some = found.all.filter((one) => one.channel.toLowerCase().includes(filter.value.toLowerCase()))
      some.sort((a, b) => b.waiting.messages + b.in_flight.messages - a.waiting.messages - a.in_flight.messages || a.channel.localeCompare(b.channel))
      fill(list, table('Channels', [
        { title: 'Channel', cell: (one) => [h('a', { href: `#/channel/${encodeURIComponent(one.channel)}`, 'data-key': `channel-${one.id}` }, one.channel), ' ', one.paused && badge('paused', 'warn')] },
        { title: 'Messages', number: true, cell: (one) => count(one.messages) },
        { title: 'Bytes', number: true, wide: true, cell: (one) => bytes(one.bytes) },
        { title: 'Waiting', number: true, cell: (one) => count(one.waiting.messages) },
        { title: 'In flight', number: true, cell: (one) => count(one.in_flight.messages) },
        { title: 'Dead', number: true, cell: (one) => one.dead.messages ? badge(count(one.dead.messages), 'bad') : '0' },
        { title: 'Groups', number: true, wide: true, cell: (one) => count(one.groups) },
        { title: 'Members', number: true, wide: true, cell: (one) => count(one.members) }
      ], some, 'There are no channels: the first message to one makes it.'),
      found.more && h('p.hint', {}, `The first ${count(found.all.length)} of ${count(found.total)}; weir channel ls shows all.`))
    }
    filter.addEventListener('input', () => found && draw())
    fill(place, h('h1', {}, 'Channels'), filter, list)
    return async () => {
      found = await askAll('CHANNEL.LIST', 'channels', {}, MOST)
      draw()
    }
  }
}

/** Base64 as text; what is not UTF-8 is shown as such. */
function decoded (data) {
  const raw = Uint8Array.from(atob(data), (c) => c.charCodeAt(0))
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(raw)
  } catch (error) {
    return [...raw.slice(0, 1024)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
  }
}

function messagePanel (message) {
  return h('section.message', {},
    h('h3', {}, `Message ${count(message.sequence)}`),
    facts([['Published', time(message.time)], ['Subject', message.subject], ['Size', bytes(message.size)], ...(message.headers || []).map(([name, value]) => [name, value])]),
    h('pre', { tabindex: '0' }, decoded(message.data)),
    message.truncated && h('p.hint', {}, 'The rest is cut off; weir msg get shows all.'))
}

export const channel = {
  title: (name) => name,
  show (place, state, name) {
    const head = h('div', {})
    const body = h('section', {})
    const shownMessage = h('div', { 'aria-live': 'polite' })
    fill(place, head, body, shownMessage)
    const look = async (sequence) => {
      try {
        fill(shownMessage, messagePanel(await ask('MSG.GET', { channel: name, sequence })))
        shownMessage.scrollIntoView({ block: 'nearest' })
      } catch (error) {
        fill(shownMessage, h('p.empty', {}, `${error.message}.`))
      }
    }
    return async () => {
      const one = await ask('CHANNEL.INFO', { channel: name })
      const { all } = await askAll('GROUP.LIST', 'groups', { channel: name }, MOST)
      const from = Math.max(one.first_sequence, one.last_sequence - SHOWN + 1)
      const { messages } = one.messages ? await ask('MSG.LIST', { channel: name, from_sequence: from, limit: SHOWN }) : { messages: [] }
      const { config } = one
      fill(head,
        h('h1', {}, one.channel, ' ', one.paused && badge('paused', 'warn')),
        h('div.tiles', {},
          tile('Messages', count(one.messages), bytes(one.bytes)),
          tile('Waiting', count(one.waiting.messages), bytes(one.waiting.bytes)),
          tile('In flight', count(one.in_flight.messages), bytes(one.in_flight.bytes)),
          tile('Dead', count(one.dead.messages), bytes(one.dead.bytes), one.dead.messages ? 'bad' : '')),
        actions(pauseButton(state, 'CHANNEL', one, { channel: name }), purgeButton(state, name), button('Remove', 'remove', async () => {
          if (!await confirm(`Remove ${name}?`, 'With its groups and messages. Members are closed.', 'Remove')) return
          if (await run(state, `${name} is gone.`, 'CHANNEL.RM', { channel: name, force: true })) state.go('#/channels')
        }, 'danger')))
      fill(body,
        h('h2', {}, 'Groups'), groupTable(`Groups of ${name}`, all, false),
        h('h2', {}, 'Newest messages'),
        table('Newest messages', [
          { title: 'Sequence', number: true, cell: (message) => count(message.sequence) },
          { title: 'Published', cell: (message) => time(message.time) },
          { title: 'Age', number: true, wide: true, cell: (message) => age(message.age_ms) },
          { title: 'Size', number: true, cell: (message) => bytes(message.size) },
          { title: '', cell: (message) => button('Show', `show-${message.sequence}`, () => look(message.sequence)) }
        ], messages.reverse(), 'No message is stored.'),
        h('h2', {}, 'Limits'),
        facts([['Sequences', `${count(one.first_sequence)} to ${count(one.last_sequence)}`], ['Newest', time(one.last_time)], ['max_msgs', limit(config.max_msgs, count)], ['max_bytes', limit(config.max_bytes, bytes)],
          ['max_age', limit(config.max_age_ms, age)], ['discard', config.discard], ['max_deliver', limit(config.max_deliver, count)],
          ['dead_letter', config.dead_letter || 'none'], ['disconnect_grace', age(config.disconnect_grace_ms)], ['duplicate_window', age(config.duplicate_window_ms)],
          ['Configured', one.edited ? 'by an operator' : 'by the configuration file']]))
    }
  }
}
