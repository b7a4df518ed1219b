"""The lessons: an idea of reinforcement learning each, in a page of text, beside a small run of the code that does it.

A lesson's runs are commands of Arena's on a league of the lesson's own, which is thrown away; its plot is what they
measure. To add one, add it here.
"""

from __future__ import annotations

from dataclasses import dataclass

RETURN = "charts/episodic_return"


@dataclass(frozen=True)
class Curve:
    """One line of the plot: a metric of a run. `name`: in the legend; `times`: to stand beside larger ones."""

    name: str
    run: str
    metric: str = RETURN
    times: int = 1


@dataclass(frozen=True)
class Lesson:
    """One idea.

    Attributes:
        text: paragraphs. look: what the plot will show.
        commands: the words after `arena` of each run.
        curves: what is drawn. y_title: of the plot.
    """

    title: str
    text: tuple[str, ...]
    look: str
    commands: tuple[tuple[str, ...], ...]
    curves: tuple[Curve, ...]
    y_title: str = "return"


def _train(game: str, algorithm: str, steps: int, name: str, *settings: str) -> tuple[str, ...]:
    sets = tuple(word for setting in settings for word in ("--set", setting))
    return ("train", game, "--algo", algorithm, "--steps", str(steps), "--name", name, "--device", "cpu", *sets)


LESSONS = (
    Lesson(
        "Bellman's equation and the table of Q",
        (
            "The recycling robot stands in the second of five places in a row. The left end pays 2, the fourth place 1 "
            "each time, the right end 10. How good is a step to the right?",
            "Q(s, a) is the return to expect after action a in state s, if the best is done from then on. It need not "
            "be added up to the end of the game: it is the reward of the step plus γ times the best Q of the place "
            "where the step leads. This is Bellman's equation, one line for every entry of a table.",
            "Q-learning makes it a rule of learning. After every step the entry moves a little towards reward + γ · "
            "max Q of the next place. The difference is the TD error; when it is 0 everywhere, the table is the "
            "solution.",
            "To see the table itself, play gridworld/recycling from the lobby and press v.",
        ),
        "The TD error falls to 0: the table agrees with itself, and the walk to the right end is found.",
        (_train("gridworld/recycling", "q_learning", 6000, "q"),),
        (Curve("return", "q"), Curve("TD error × 20", "q", "losses/td_error", 20)),
    ),
    Lesson(
        "Exploring: ε-greedy",
        (
            "Three exits, worth 0, 1 and 1000. An agent that knows nothing takes one; say it gets 1. From now on this "
            "is the best it knows. If it always does what seems best, it will never find out about the third exit.",
            "ε-greedy is the simplest remedy: with probability ε do anything, else what seems best. ε is large at "
            "first, when little is known, and falls while the run goes on. What is left of it at the end costs a "
            "little: now and then the wrong exit.",
            "Another remedy is optimism: a table that begins with values that are too high makes every exit look "
            "worth a try. It is switched off here, so that ε alone has to do it.",
        ),
        "Both runs learn from the same rule; the one without ε stays at 1 for ever.",
        (
            _train("gridworld/trap", "q_learning", 2000, "eps", "initial_values=0", "num_envs=1"),
            _train(
                "gridworld/trap",
                "q_learning",
                2000,
                "greedy",
                "initial_values=0",
                "num_envs=1",
                "epsilon=0",
                "final_epsilon=0",
            ),
        ),
        (Curve("ε falls from 1", "eps"), Curve("ε = 0", "greedy")),
    ),
    Lesson(
        "DQN: replay and the target network",
        (
            "Where there are too many states for a table, a network stands for it. Two things make this hard. "
            "Neighbouring steps are alike, so a network that learns them one after the other forgets the rest. And "
            "it learns towards its own guesses: every change moves the targets as well.",
            "DQN answers with two ideas. Steps go into a replay memory, from which batches are drawn at random. And "
            "the targets come from a copy of the network that stands still for a while, the target network.",
            "Here a pole is balanced on a cart, at most 500 steps. One run copies every 20 gradient steps, the other "
            "after each, which is no target network at all: its Q values run away before they come back.",
        ),
        "With a copy that stands still the pole stays up; without one it learns late, or never.",
        (
            _train("cartpole", "dqn", 20000, "copy", "target_update=20"),
            _train("cartpole", "dqn", 20000, "none", "target_update=1"),
        ),
        (Curve("copy every 20", "copy"), Curve("no copy", "none")),
        "steps the pole stays up",
    ),
    Lesson(
        "Policy gradients",
        (
            "A policy can be learnt without asking what every action is worth. Play with the policy as it is, see what "
            "came of it, and make those actions likelier that led to more than was expected.",
            "The gradient of log π(a | s) says how to change the weights to make the action likelier. The advantage "
            "says how much, and with which sign: the return minus what a value network expected there. The "
            "expectation changes nothing on average, but it takes away most of the noise.",
            "This is vanilla policy gradient (VPG). Each batch is used for one step of the policy and then thrown "
            "away: after the step it is no longer the policy's own. An entropy bonus keeps it trying things.",
        ),
        "The return rises to almost 1, while the entropy falls: the policy makes up its mind.",
        (_train("gridworld/tiny", "vpg", 20000, "vpg"),),
        (Curve("return", "vpg"), Curve("entropy", "vpg", "losses/entropy")),
        "return, entropy",
    ),
    Lesson(
        "PPO: the clip",
        (
            "It is a waste to use every batch once. But after some steps on the same batch the policy is another one, "
            "and the batch says little about it: the ratio of new to old probability, by which each action counts, "
            "becomes huge or tiny.",
            "PPO takes several steps on a batch and stops each action from pulling once its ratio has left 1 ± 0.2. "
            "So nothing is gained by going further, and the new policy stays near the one that has played.",
            "One run here has the clip at 0.2, the other at 10, which is none. Everything else is the same: ten "
            "passes over each batch with large steps.",
        ),
        "The clipped run balances the pole; the other one takes a step too far and does not recover.",
        (_train("cartpole", "ppo", 40000, "clip"), _train("cartpole", "ppo", 40000, "none", "clip_range=10")),
        (Curve("clip 0.2", "clip"), Curve("no clip", "none")),
        "steps the pole stays up",
    ),
    Lesson(
        "Self-play",
        (
            "Nobody has to teach a game for two: the agent plays itself. Both seats learn, and the opponent is always "
            "about as strong as the learner, which is the best teacher at every level.",
            "But only the newest self as an opponent can run in circles, forgetting how to beat what it has long "
            "stopped meeting. So a share of the games goes against frozen copies of earlier selves, the pool. "
            "Winning against the pool half of the time is the least to ask for.",
            "Games against random moves tell how far it has come. The score counts a win 1, a draw ½. The moves are "
            "drawn while it learns, not the best ones, so it does not reach 1.",
        ),
        "Against random moves the score climbs; against its own past it stays a little above ½.",
        (
            _train(
                "tic_tac_toe",
                "ppo",
                250_000,
                "self",
                "pool_share=0.2",
                "random_share=0.1",
                "snapshot_steps=30000",
            ),
        ),
        (
            Curve("against random", "self", "charts/score_vs_random"),
            Curve("against its past", "self", "charts/score_vs_pool"),
        ),
        "score",
    ),
    Lesson(
        "Human feedback: a reward model, then RLHF",
        (
            "What makes an answer good is hard to write down and easy to say when one sees two of them. So people "
            "compare pairs. A reward model learns to give the preferred answer the higher number; the chance that a "
            "is preferred to b is taken as the logistic function of the difference.",
            "Then the language model is fine-tuned by PPO: an answer is an episode, its tokens are the actions, the "
            "reward model's number is the reward. It would soon find answers that please the reward model and nobody "
            "else; a penalty for every step away from the model it began as (the KL divergence) holds it back.",
            "This is the whole way in small: pre-training, fine-tuning on demonstrations, labels, reward model, "
            "PPO, DPO. It takes a few minutes. Label pairs yourself in the label area; the lab has the real thing.",
        ),
        "The reward model is right about most pairs; PPO moves away from the model it began as (the KL), and its "
        "reward begins to rise. So small a run shows the way, not the result.",
        (("rlhf", "demo", "--small"),),
        (
            Curve("reward model right", "reward", "charts/accuracy"),
            Curve("PPO's reward", "ppo", "charts/reward"),
            Curve("its KL", "ppo", "charts/kl"),
        ),
        "share, reward, KL",
    ),
)
