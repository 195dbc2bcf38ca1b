import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { Player } from './scenarios/player.ts'
import { formatStory, readStories, type Story } from './scenarios/story.ts'

const folder = join(import.meta.dirname, 'scenarios')
/** `UPDATE=1 npx vitest run test/scenarios.test.ts` writes what is said now: read the difference before you keep it. */
const isUpdating = process.env['UPDATE'] === '1'

for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
  const stories = readStories(readFileSync(join(folder, file), 'utf8'))
  const told: Story[] = []
  describe(`scenarios/${file}`, () => {
    test.each(stories.map((story) => [story.title, story] as const))('%s', (_, story) => {
      const player = new Player()
      const blocks = story.blocks.map((block) => ({ ...block, said: player.play(block.commands) }))
      told.push({ ...story, blocks })
      if (!isUpdating) expect(formatStory({ ...story, blocks })).toBe(formatStory(story))
    })
    afterAll(() => {
      if (isUpdating && told.length === stories.length)
        writeFileSync(join(folder, file), told.map(formatStory).join('\n'))
    })
  })
}

describe('the reader of stories', () => {
  const text = '# One\n# with a reason\n> a\n> b\nsaid\n> c\n\n> e\n\n# Two\n> d\n'

  test('a story has a title, a reason, and blocks of commands with what came of them', () => {
    expect(readStories(text)).toEqual([
      {
        title: 'One',
        about: ['with a reason'],
        blocks: [
          { commands: ['a', 'b'], said: ['said'] },
          { commands: ['c'], said: [] },
          { commands: ['e'], said: [] },
        ],
      },
      { title: 'Two', about: [], blocks: [{ commands: ['d'], said: [] }] },
    ])
    expect(readStories(text).map(formatStory).join('\n')).toBe(text)
  })

  test('what is said before anything was done is an error', () => {
    expect(() => readStories('# One\nsaid\n')).toThrow('line 2 is said before any command')
    expect(() => readStories('> a\n')).toThrow('line 1 stands before any title')
  })

  test('an unknown command and an unknown option are errors', () => {
    expect(() => new Player().play(['dance'])).toThrow('no command is called "dance"')
    expect(() => new Player().play(['node a 8 H100 colour=red'])).toThrow('node takes no colour')
  })
})
