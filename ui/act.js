// SPDX-License-Identifier: Apache-2.0
// What an operator can do, each with its question. Buttons are there for those who have logged in.
import { ask, credentials } from './api.js'
import { confirm, form, h, toast } from './dom.js'

/** Does it, says how it went, and shows what is new. */
export async function run (state, text, request, body) {
  try {
    const answer = await ask(request, body)
    toast(typeof text === 'function' ? text(answer) : text)
    state.refresh()
    return answer
  } catch (error) {
    toast(error.message, 'bad')
    return null
  }
}

/** A button that only operators see. `key` names it, so that it keeps the focus. */
export const button = (title, key, onclick, kind = 'quiet') => credentials.get() ? h(`button.${kind}`, { type: 'button', 'data-key': key, onclick }, title) : null

export const actions = (...buttons) => credentials.get() ? h('div.actions', {}, buttons) : h('p.hint', {}, 'Log in to act.')

export function pauseButton (state, noun, object, names) {
  const what = noun === 'CHANNEL' ? object.channel : object.group
  return object.paused
    ? button('Resume', `pause-${what}`, () => run(state, `${what} goes on.`, `${noun}.RESUME`, names))
    : button('Pause', `pause-${what}`, async () => {
      const given = await form(`Pause ${what}?`, 'Publishing goes on; nothing is delivered until it is resumed.', [
        { name: 'minutes', label: 'For so many minutes (empty: until resumed)', type: 'number' }], 'Pause')
      if (given) run(state, `${what} is paused.`, `${noun}.PAUSE`, { ...names, ...(given.minutes ? { for_ms: Number(given.minutes) * 60000 } : {}) })
    })
}

export function purgeButton (state, channel) {
  return button('Purge', 'purge', async () => {
    const given = await form(`Purge ${channel}?`, 'Removes messages for every group, also those that nobody has finished.', [
      { name: 'what', label: 'What', type: 'select', options: [['all', 'everything'], ['before_sequence', 'below a sequence'], ['keep', 'all but the newest']] },
      { name: 'number', label: 'Sequence, or how many to keep', type: 'number' }], 'Purge', { danger: true })
    if (!given) return
    const body = given.what === 'all' ? { all: true } : { [given.what]: Number(given.number) }
    run(state, (answer) => `${answer.purged.messages} messages are gone.`, 'CHANNEL.PURGE', { channel, ...body })
  }, 'danger')
}

export function seekButton (state, object) {
  return button('Seek', 'seek', async () => {
    const given = await form(`Where should ${object.group} begin?`, 'It forgets its position and what is out, and begins there anew.', [
      { name: 'to', label: 'To', type: 'select', options: [['first', 'the first message'], ['last', 'the last message'], ['new', 'what comes from now on'], ['to_sequence', 'a sequence'], ['to_time', 'a time']] },
      { name: 'sequence', label: 'Sequence', type: 'number' },
      { name: 'time', label: 'Time', type: 'datetime-local' }], 'Seek', { danger: true })
    if (!given) return
    const body = given.to === 'to_sequence' ? { to_sequence: Number(given.sequence) } : given.to === 'to_time' ? { to_time: new Date(given.time).toISOString() } : { to: given.to }
    run(state, `${object.group} begins there.`, 'GROUP.SEEK', { group_id: object.group_id, ...body })
  }, 'danger')
}

export const releaseButton = (state, id, sequence) => button('Release', `release-${sequence}`, () =>
  run(state, `${sequence} goes to somebody else.`, 'MSG.RELEASE', { group_id: id, sequences: [sequence] }))

export const killButton = (state, id, sequence) => button('Kill', `kill-${sequence}`, async () => {
  if (await confirm(`Give up message ${sequence}?`, 'It is not delivered to this group again, unless it is redriven.', 'Kill')) {
    run(state, `${sequence} is dead.`, 'MSG.KILL', { group_id: id, sequences: [sequence], reason: 'by an operator' })
  }
}, 'danger')

export const redriveButton = (state, id, title, body) => button(title, `redrive-${id}-${title}`, async () => {
  const given = body.all
    ? await form('Deliver all of them again?', 'As if for the first time.', [{ name: 'rate', label: 'Messages a second (empty: as fast as they are taken)', type: 'number' }], 'Redrive')
    : {}
  if (given) run(state, 'They are delivered again.', 'DLQ.REDRIVE', { group_id: id, ...body, ...(given.rate ? { rate: Number(given.rate) } : {}) })
})
