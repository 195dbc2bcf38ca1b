/** What passes it waits while it is closed. */
export interface Gate {
  close(): void
  open(): void
  pass(): Promise<void>
  waiting(): number
}

export function createGate(): Gate {
  let isOpen = true
  let held: (() => void)[] = []
  return {
    close: () => {
      isOpen = false
    },
    open: () => {
      isOpen = true
      for (const go of held) go()
      held = []
    },
    pass: () => (isOpen ? Promise.resolve() : new Promise((resolve) => held.push(resolve))),
    waiting: () => held.length,
  }
}
