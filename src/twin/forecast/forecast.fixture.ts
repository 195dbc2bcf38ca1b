import { createScheduler } from '../../scheduler/scheduler.ts'
import { Story } from '../../scheduler/story.fixture.ts'

export const hourMs = 3_600_000
export const nowMs = 1000 * hourMs

/** So many nodes of eight accelerators, and one queue. */
export function story(nodes: number): Story {
  const told = new Story(createScheduler())
  told.nowMs = nowMs
  told.queue('default')
  for (let index = 0; index < nodes; index++) told.node(`n${index}`, 'H100:8')
  return told
}
