-- The order of claims in half the space. Behind lane and priority `visible_at` decides, a moment in microseconds that hardly two
-- intents share; what came behind it in these indexes was written twice for each intent and hardly ever decided.
DROP INDEX intents_own_goal, intents_own, intents_public_goal, intents_public;
CREATE INDEX intents_own_goal ON intents (own_goal_lane, priority DESC, visible_at);
CREATE INDEX intents_own ON intents (own_lane, priority DESC, visible_at);
CREATE INDEX intents_public_goal ON intents (public_goal_lane, priority DESC, visible_at)
    WHERE public_goal_lane IS NOT NULL;
CREATE INDEX intents_public ON intents (public_lane, priority DESC, visible_at) WHERE public_lane IS NOT NULL;
