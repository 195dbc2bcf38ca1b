import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'

test('a group that could take all leaves the next of its gang its fewest', () => {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('a', 'H100:4')
  told.gang('rl', '1xH100:1')
  const [group] = told.gangs.get('default/rl')?.spec.groups ?? []
  const groupOf = (name: string, min: number): Gang['spec']['groups'][number][] =>
    group === undefined ? [] : [{ ...group, name, min, max: 4 }]
  told.change('rl', { groups: [...groupOf('learner', 2), ...groupOf('actor', 2)] })
  told.decide()
  const seats = told.gangs.get('default/rl')?.status?.seats?.members ?? []
  expect(seats.map((member) => member.group)).toEqual(['learner', 'learner', 'actor', 'actor'])
})
