/** A transcript: what is done, and what is said of it. */
export interface Story {
  title: string
  /** Why it should be so. */
  about: string[]
  blocks: Block[]
}

/** Commands that are decided about together. */
interface Block {
  commands: string[]
  said: string[]
}

/** `# title`, more `#` lines of reasons, then `> commands` and what is said. An empty line ends a block that says nothing. */
export function readStories(text: string): Story[] {
  const stories: Story[] = []
  let before = ''
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') {
      before = ''
      continue
    }
    const story = stories.at(-1)
    const block = story?.blocks.at(-1)
    if (line.startsWith('#')) {
      const said = line.replace(/^#\s*/, '')
      if (before === '#' && story !== undefined) story.about.push(said)
      else stories.push({ title: said, about: [], blocks: [] })
    } else if (story === undefined) throw new Error(`line ${index + 1} stands before any title`)
    else if (line.startsWith('>')) {
      const command = line.replace(/^>\s*/, '')
      if (before === '>' && block !== undefined) block.commands.push(command)
      else story.blocks.push({ commands: [command], said: [] })
    } else if (block === undefined) throw new Error(`line ${index + 1} is said before any command`)
    else block.said.push(line)
    before = line.startsWith('#') || line.startsWith('>') ? line.charAt(0) : ''
  }
  return stories
}

export function formatStory({ title, about, blocks }: Story): string {
  const lines = [title, ...about].map((line) => `# ${line}`)
  for (const [index, { commands, said }] of blocks.entries()) {
    if (index > 0 && blocks[index - 1]?.said.length === 0) lines.push('')
    lines.push(...commands.map((command) => `> ${command}`), ...said)
  }
  return `${lines.join('\n')}\n`
}
