import type { ChatHistoryItem, LlamaModel } from 'node-llama-cpp'
import { badRequest, WireFailure } from '../../wire/errors.ts'
import type { ChatPrompt, ChatTurn } from '../text-model.ts'
import type { LlamaPackage } from './package.ts'

export type ChatTemplate = (turns: readonly ChatTurn[]) => ChatPrompt

/** The model's own Jinja template. Text of messages is tokenised as text: nobody can write control tokens into it. */
export function openChatTemplate(llamaPackage: LlamaPackage, model: LlamaModel, template: string): ChatTemplate {
  const wrapper = new llamaPackage.JinjaTemplateChatWrapper({ template, tokenizer: model.tokenizer })
  return (turns) => {
    const chatHistory = [...turns.map(itemOf), emptyAnswer]
    const { contextText, stopGenerationTriggers } = wrapper.generateContextState({ chatHistory })
    const prompt: ChatPrompt = { tokens: contextText.tokenize(model.tokenizer), stops: [], stopTokens: [] }
    for (const trigger of stopGenerationTriggers) {
      const [token, another] = trigger.tokenize(model.tokenizer)
      if (token !== undefined && another === undefined) prompt.stopTokens.push(token)
      else prompt.stops.push(trigger.toString())
    }
    return prompt
  }
}

const emptyAnswer: ChatHistoryItem = { type: 'model', response: [] }

function itemOf(turn: ChatTurn, at: number): ChatHistoryItem {
  switch (turn.role) {
    case 'system':
    case 'developer':
      return { type: 'system', text: turn.text }
    case 'user':
      return { type: 'user', text: turn.text }
    case 'assistant':
      return { type: 'model', response: [turn.text] }
    default:
      throw new WireFailure(badRequest('This engine does not support tools.', `messages[${at}].role`))
  }
}
